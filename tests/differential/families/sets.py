"""Sets."""

LINES = """
SADD <e> <member>+
SADD <e> <crowd>
SADD <e> (1|2|3|-5|1000000|9223372036854775807)+
SREM <e> <member>+
SMEMBERS <e>
SISMEMBER <e> <member>
SMISMEMBER <e> <member>+
SCARD <e>
SPOP <e> 100000
SPOP <e> (0|-1|x)
SRANDMEMBER <e> [<int>]
SMOVE <e> <e> <member>
SINTER <e> <e>*
SUNION <e> <e>*
SDIFF <e> <e>*
SINTERSTORE <e> <e> <e>*
SUNIONSTORE <e> <e> <e>*
SDIFFSTORE <e> <e> <e>*
SINTERCARD <ekeys> [LIMIT <number>]
SSCAN <e> 0 [MATCH <pattern>] [COUNT <positive>]
SSCAN <e> <int>
DEL <e>
"""
