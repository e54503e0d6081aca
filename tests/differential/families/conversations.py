"""What is between a client and the server: transactions, subscriptions, the end of a wait."""

LINES = """
MULTI
MULTI
EXEC
EXEC
EXEC
DISCARD
WATCH <keys>
UNWATCH
RESET
SUBSCRIBE <channel>
UNSUBSCRIBE [<channel>]
PSUBSCRIBE (n*|*|s?ort|__key*)
PUNSUBSCRIBE [n*|*]
SSUBSCRIBE <channel>
SUNSUBSCRIBE [<channel>]
PUBLISH <channel> <message>
PUBLISH <channel> <message>
SPUBLISH <channel> <message>
PUBSUB CHANNELS [<pattern>]
PUBSUB NUMSUB <channel>*
PUBSUB NUMPAT
PUBSUB SHARDCHANNELS [<pattern>]
PUBSUB SHARDNUMSUB <channel>*
@unblock
@unblock
@expire <k>
@pop <e>
PING
"""
