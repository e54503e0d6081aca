"""Keys of any type: expiry, names, databases, SORT, DUMP and RESTORE, SCAN, introspection."""

LINES = """
DEL <keys>
UNLINK <keys>
EXISTS <keys>
TOUCH <keys>
TYPE <k>
RANDOMKEY
DBSIZE
KEYS <pattern>
RENAME <k> <k>
RENAMENX <k> <k>
COPY <k> <k> [DB <db>] [REPLACE]
MOVE <k> <db>
SWAPDB <db> <db>
SELECT <db>
SELECT 0
EXPIRE <k> <far> [NX|XX|GT|LT|x]
PEXPIRE <k> <far> [NX] [XX] [GT] [LT]
EXPIREAT <k> <when> [NX|XX|GT|LT]
PEXPIREAT <k> <when> [NX|XX|GT|LT]
PEXPIREAT <k> 33177117420123
PEXPIREAT <k> (1|-1|0|1000)
PERSIST <k>
TTL <k>
PTTL <k>
EXPIRETIME <k>
PEXPIRETIME <k>
OBJECT ENCODING <k>
DUMP <k>
RESTORE <k> (0|<far>|<when>) @dump [REPLACE] [ABSTTL] [IDLETIME <number>] [FREQ <number>]
RESTORE <k> 0 @dump REPLACE
RESTORE <k> 0 <value>
RESTORE <k> <when> @dump REPLACE ABSTTL
SORT (<l>|<e>|<z>) [LIMIT <index> <number>] [ASC|DESC] [ALPHA]
SORT <l> [BY (s*|h*->a|nosort|x)] [LIMIT <int> <int>] [GET (#|s*|h*->a|*)] [ASC|DESC] [ALPHA] [STORE (<l>|<k>)]
SORT <z> [BY nosort] [LIMIT <int> <int>] [ASC|DESC] [STORE <l>]
SORT_RO <l> [LIMIT <int> <int>] [GET (#|s*)] [DESC] [ALPHA] [STORE l1]
SCAN 0 [MATCH <pattern>] [COUNT <positive>] [TYPE <type>]
SCAN <int>
FLUSHDB [ASYNC|SYNC|x]
COMMAND GETKEYS @command
COMMAND GETKEYSANDFLAGS @command
ECHO <value>
PING [<value>]
CLIENT SETNAME <member>
CLIENT GETNAME
CLIENT SETINFO (LIB-NAME|LIB-VER|x) <member>
CLIENT NO-EVICT (ON|OFF|x)
CLIENT NO-TOUCH (ON|OFF)
WAIT 0 0
HELLO (2|3) [SETNAME <member>] [AUTH default <value>]
HELLO (4|1|x|3 x)
AUTH <value> [<value>]
OBJECT HELP
LATENCY RESET <member>
"""
