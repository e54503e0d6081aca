"""Strings, bits and HyperLogLogs."""

LINES = """
SET <s> <value>
SET <s> <value> [NX|XX|IFEQ <value>] [GET] [EX <far>|PX <far>|EXAT <when>|PXAT <when>|KEEPTTL]
GET <s>
GETEX <s> [EX <far>|PX <far>|EXAT <when>|PXAT <when>|PERSIST]
GETDEL <s>
GETSET <s> <value>
SETNX <s> <value>
SETEX <s> <far> <value>
PSETEX <s> <far> <value>
MGET <s> <k>*
MSET <s> <value> <s> <value>
MSETNX <s> <value> <s> <value>
MSETEX (1 <s> <value>|2 <s> <value> <s> <value>|<number> <s> <value>) [NX|XX] [EX <far>|PXAT <when>|KEEPTTL]
DELIFEQ <s> <value>
APPEND <s> <value>
STRLEN <s>
SETRANGE <s> <offset> <value>
GETRANGE <s> <index> <index>
SUBSTR <s> <index> <index>
INCR <s>
DECR <s>
INCRBY <s> <int>
DECRBY <s> <int>
INCRBYFLOAT <s> <float>
LCS <s> <s> [LEN] [IDX] [MINMATCHLEN <int>] [WITHMATCHLEN]
SET <s> (0|1|-1|10|9223372036854775807|-9223372036854775808|1.5|3e5)
"""

BITS = """
SETBIT <b> <offset> (0|1|<int>)
GETBIT <b> <offset>
BITCOUNT <b> [<index> <index> [BYTE|BIT|x]|<index>]
BITPOS <b> (0|1|<int>) [<index> [<index> [BYTE|BIT|x]]]
BITOP (AND|OR|XOR|DIFF|DIFF1|ANDOR|ONE) <b> <b> <b>*
BITOP NOT <b> <b> [<b>]
BITFIELD <b> ([OVERFLOW (WRAP|SAT|FAIL|x)]|GET <bits> <bitoffset>
  |SET <bits> <bitoffset> <int>|INCRBY <bits> <bitoffset> <int>)+
BITFIELD <b> [OVERFLOW (WRAP|SAT|FAIL)] INCRBY <bits> <bitoffset> <int>
BITFIELD_RO <b> GET <bits> <bitoffset> [GET <bits> <bitoffset>] [SET u8 0 1]
SET <b> <value>
APPEND <b> <value>
GET <b>
BITCOUNT <s>
PFADD <p> <member>*
PFADD <p> <crowd>
PFCOUNT <p> <p>*
PFMERGE <p> <p>*
GET <p>
PFDEBUG (ENCODING|TODENSE|x) <p>
APPEND <p> <value>
"""
