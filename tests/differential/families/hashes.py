"""Hashes, and fields that expire."""

LINES = """
HSET <h> <pairs>
HSET <h> <field> <value> <field> <value>
HSET <h> <hcrowd>
HSET <h> <field> <int>
HSETNX <h> <field> <value>
HMSET <h> <field> <value>
HGET <h> <field>
HMGET <h> <field>+
HGETALL <h>
HKEYS <h>
HVALS <h>
HLEN <h>
HSTRLEN <h> <field>
HEXISTS <h> <field>
HDEL <h> <field>+
HINCRBY <h> <field> <int>
HINCRBYFLOAT <h> <field> <float>
HRANDFIELD <h> [<int> [WITHVALUES]]
HSCAN <h> 0 [MATCH <pattern>] [COUNT <positive>] [NOVALUES]
HSCAN <h> <int>
HEXPIRE <h> <far> [NX|XX|GT|LT] FIELDS <fields>
HPEXPIRE <h> <far> [NX|XX|GT|LT] FIELDS <fields>
HEXPIREAT <h> <when> [NX|XX|GT|LT] FIELDS <fields>
HPEXPIREAT <h> <when> [NX|XX|GT|LT] FIELDS <fields>
HPEXPIREAT <h> 33177117420123 FIELDS <fields>
HPERSIST <h> FIELDS <fields>
HTTL <h> FIELDS <fields>
HPTTL <h> FIELDS <fields>
HEXPIRETIME <h> FIELDS <fields>
HPEXPIRETIME <h> FIELDS <fields>
HGETEX <h> [EX <far>|PX <far>|EXAT <when>|PXAT <when>|PERSIST] FIELDS <fields>
HGETDEL <h> FIELDS <fields>
HSETEX <h> [NX|XX] [FNX|FXX] [EX <far>|PX <far>|EXAT <when>|PXAT <when>|KEEPTTL] FIELDS <countedpairs>
DEL <h>
"""
