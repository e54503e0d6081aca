"""Which commands client-side caching answers from memory, and why the other reading commands are left out.

A reply may be kept when two things hold: the same keys always give the same reply until one of them changes, and the
server knows all of them, so that it can tell of the change. Every reading command of the server that has keys is in
one of the two tables; a test compares them with a real one.
"""

from __future__ import annotations

#: Commands whose replies may be kept: functions of the keys that they name, and of nothing else.
CACHEABLE: frozenset[str] = frozenset(
    {
        # Strings and bits.
        *("BITCOUNT", "BITFIELD_RO", "BITPOS", "GET", "GETBIT", "GETRANGE", "LCS", "MGET", "STRLEN", "SUBSTR"),
        # Keys.
        *("EXISTS", "TYPE"),
        # Hashes.
        *("HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "HSTRLEN", "HVALS"),
        # Lists.
        *("LINDEX", "LLEN", "LPOS", "LRANGE"),
        # Sets. Their order is the server's whim, their content is not.
        *("SCARD", "SDIFF", "SINTER", "SINTERCARD", "SISMEMBER", "SMEMBERS", "SMISMEMBER", "SUNION"),
        # Sorted sets.
        *("ZCARD", "ZCOUNT", "ZDIFF", "ZINTER", "ZINTERCARD", "ZLEXCOUNT", "ZMSCORE", "ZRANGE", "ZRANGEBYLEX"),
        *("ZRANGEBYSCORE", "ZRANK", "ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCORE", "ZUNION"),
        # Places.
        *("GEODIST", "GEOHASH", "GEOPOS", "GEORADIUSBYMEMBER_RO", "GEORADIUS_RO", "GEOSEARCH"),
        # Streams.
        *("XLEN", "XRANGE", "XREVRANGE"),
    }
)

_TIME = "the reply changes with time alone"
_CHANCE = "the reply is drawn by lot"
_CURSOR = "a cursor belongs to one walk"
_INSIDE = "it tells of the server's inside, which changes without a write"
_UNNAMED = "it may read keys that it does not name, and the server tells of none of those"

#: Reading commands with keys that are always sent, and the reason.
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(("EXPIRETIME", "PEXPIRETIME", "PTTL", "TTL"), _TIME),
    **dict.fromkeys(("HEXPIRETIME", "HPEXPIRETIME", "HPTTL", "HTTL"), _TIME),
    "XPENDING": "idle times change with time alone",
    **dict.fromkeys(("HRANDFIELD", "SRANDMEMBER", "ZRANDMEMBER"), _CHANCE),
    **dict.fromkeys(("HSCAN", "SSCAN", "ZSCAN"), _CURSOR),
    **dict.fromkeys(("MEMORY USAGE", "OBJECT ENCODING", "OBJECT FREQ", "OBJECT IDLETIME"), _INSIDE),
    **dict.fromkeys(("OBJECT REFCOUNT", "XINFO CONSUMERS", "XINFO GROUPS", "XINFO STREAM"), _INSIDE),
    **dict.fromkeys(("EVALSHA_RO", "EVAL_RO", "FCALL_RO", "SORT_RO"), _UNNAMED),
    "DUMP": "the form depends on the server's version and encodings",
    "PFCOUNT": "it may change the key, and cannot be told from a write",
    "TOUCH": "what matters is that the server hears of it",
    "XREAD": "it waits, or asks for what is new",
}
