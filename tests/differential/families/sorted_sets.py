"""Sorted sets, the commands that wait for them, and places."""

LINES = """
ZADD <z> [NX|XX] [GT|LT] [CH] [INCR] <score> <member>
ZADD <z> <score> <member> <score> <member>
ZADD <z> (0|1|2) a (0|1|2) b (0|1) c 0 d
ZADD <z> [CH] <zcrowd>
ZINCRBY <z> <float> <member>
ZREM <z> <member>+
ZCARD <z>
ZSCORE <z> <member>
ZMSCORE <z> <member>+
ZRANK <z> <member> [WITHSCORE|x]
ZREVRANK <z> <member> [WITHSCORE]
ZCOUNT <z> <border> <border>
ZLEXCOUNT <z> <lex> <lex>
ZPOPMIN <z> [<number>]
ZPOPMAX <z> [<number>]
ZMPOP <zkeys> (MIN|MAX|x) [COUNT <positive>]
BZPOPMIN <z> [<z>] <timeout>
BZPOPMAX <z> [<k>] <timeout>
BZMPOP <timeout> <zkeys> (MIN|MAX) [COUNT <positive>]
BZPOPMIN <z> <z> 0
ZRANDMEMBER <z> [<int> [WITHSCORES]]
ZSCAN <z> 0 [MATCH <pattern>] [COUNT <positive>] [NOSCORES]
ZRANGE <z> <index> <index> [REV] [WITHSCORES]
ZRANGE <z> 0 -1 WITHSCORES
ZRANGE <z> <border> <border> BYSCORE [REV] [LIMIT <int> <int>] [WITHSCORES]
ZRANGE <z> <lex> <lex> BYLEX [REV] [LIMIT <int> <int>] [WITHSCORES]
ZREVRANGE <z> <index> <index> [WITHSCORES]
ZRANGEBYSCORE <z> <border> <border> [LIMIT <int> <int>] [WITHSCORES]
ZREVRANGEBYSCORE <z> <border> <border> [LIMIT <int> <int>] [WITHSCORES]
ZRANGEBYLEX <z> <lex> <lex> [LIMIT <int> <int>]
ZREVRANGEBYLEX <z> <lex> <lex> [LIMIT <int> <int>]
ZRANGESTORE <z> <z> <index> <index> [REV]
ZRANGESTORE <z> <z> <border> <border> BYSCORE [REV] [LIMIT <int> <int>]
ZRANGESTORE <z> <z> <lex> <lex> BYLEX [LIMIT <int> <int>]
ZREMRANGEBYRANK <z> <index> <index>
ZREMRANGEBYSCORE <z> <border> <border>
ZREMRANGEBYLEX <z> <lex> <lex>
(ZUNION|ZINTER) <zkeys> [WEIGHTS <weight>+] [AGGREGATE (SUM|MIN|MAX|x)] [WITHSCORES]
(ZUNIONSTORE|ZINTERSTORE) <z> <zkeys> [WEIGHTS <weight> <weight>] [AGGREGATE (SUM|MIN|MAX)]
ZUNIONSTORE <z> 2 <z> <e> [WEIGHTS <weight> <weight>]
ZDIFF <zkeys> [WITHSCORES]
ZDIFFSTORE <z> <zkeys>
ZINTERCARD <zkeys> [LIMIT <number>]
DEL <z>
"""

PLACES = """
GEOADD <g> [NX|XX] [CH] <place> <member>
GEOADD <g> <place> a <place> b <place> c
GEOPOS <g> <member>*
GEOHASH <g> <member>*
GEODIST <g> <member> <member> [<unit>]
GEOSEARCH <g> (FROMMEMBER <member>|FROMLONLAT <place>) (BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>)
  [ASC|DESC] [COUNT <positive> [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
GEOSEARCH <g> BYPOLYGON <polygon> [ASC|DESC] [COUNT <positive> [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
GEOSEARCHSTORE <g> <g> (FROMMEMBER <member>|FROMLONLAT <place>)
  (BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>) [ASC|DESC] [COUNT <positive>] [STOREDIST]
GEORADIUS <g> <place> <radius> <unit> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT <positive> [ANY]] [ASC|DESC]
  [STORE <g>|STOREDIST <g>]
GEORADIUS_RO <g> <place> <radius> <unit> [WITHDIST] [COUNT <positive>] [ASC|DESC]
GEORADIUSBYMEMBER <g> <member> <radius> <unit> [WITHCOORD] [WITHDIST] [COUNT <positive> [ANY]] [ASC|DESC] [STORE <g>]
GEORADIUSBYMEMBER_RO <g> <member> <radius> <unit> [WITHHASH] [DESC]
ZRANGE <g> 0 -1 WITHSCORES
ZADD <g> <score> <member>
"""
