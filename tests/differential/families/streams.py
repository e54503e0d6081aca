"""Streams and their groups; IDs are given, since those by the clock would differ."""

LINES = """
XADD <x> [NOMKSTREAM] [MAXLEN [=|~] <number>|MINID [=|~] <id>] <newid> <pairs>
XADD <x> <newid> <field> <value>
XADD <x> <newid> f v
XADD <x> (5-*|30-*|31-*|<id>) <field> <value>
XADD <x> <newid> <field> <value> <field>
XLEN <x>
XRANGE <x> <ids> [COUNT <int>]
XREVRANGE <x> + - [COUNT <int>]
XREVRANGE <x> <id> <id>
XDEL <x> <newid>+
XDEL <x> <id>+
XTRIM <x> (MAXLEN [=|~] <number>|MINID [=|~] <id>) [LIMIT <number>]
XSETID <x> <id> [ENTRIESADDED <number>] [MAXDELETEDID <id>]
XREAD [COUNT <int>] STREAMS <x> <id>
XREAD [COUNT <int>] STREAMS <x> <x> <id> <id>
XREAD [COUNT <number>] BLOCK <mstimeout> STREAMS <x> <id>
XREAD BLOCK 0 STREAMS <x> $
XGROUP CREATE <x> <group> (0|$|<id>) [MKSTREAM] [ENTRIESREAD <int>]
XGROUP SETID <x> <group> <id> [ENTRIESREAD <int>]
XGROUP DESTROY <x> <group>
XGROUP CREATECONSUMER <x> <group> <consumer>
XGROUP DELCONSUMER <x> <group> <consumer>
XREADGROUP GROUP <group> <consumer> [COUNT <int>] [NOACK] STREAMS <x> >
XREADGROUP GROUP <group> <consumer> [COUNT <int>] [NOACK] STREAMS <x> <id>
XREADGROUP GROUP <group> <consumer> BLOCK <mstimeout> STREAMS <x> >
XREADGROUP GROUP <group> <consumer> BLOCK 0 STREAMS <x> >
XACK <x> <group> <newid>+
XACK <x> <group> <id>
XPENDING <x> <group>
XPENDING <x> <group> [IDLE <idle>] <ids> <number> [<consumer>]
XCLAIM <x> <group> <consumer> <idle> <newid>+ [IDLE 0|TIME 1] [RETRYCOUNT <number>] [FORCE] [JUSTID] [LASTID <id>]
XAUTOCLAIM <x> <group> <consumer> <idle> <id> [COUNT <positive>] [JUSTID]
XINFO STREAM <x>
XINFO STREAM <x> FULL [COUNT <number>]
XINFO GROUPS <x>
XINFO CONSUMERS <x> <group>
DEL <x>
"""
