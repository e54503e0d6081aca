"""Lists, and the commands that wait for them."""

LINES = """
LPUSH <l> <value>+
RPUSH <l> <value>+
RPUSH <l> <lcrowd>
LPUSHX <l> <value>+
RPUSHX <l> <value>
LPOP <l> [<number>]
RPOP <l> [<number>]
LLEN <l>
LRANGE <l> <index> <index>
LRANGE <l> 0 -1
LINDEX <l> <index>
LSET <l> <index> <value>
LINSERT <l> (BEFORE|AFTER|x) <value> <value>
LREM <l> <int> <value>
LTRIM <l> <index> <index>
LTRIM <l> 0 3
LPOS <l> <value> [RANK <int>] [COUNT <number>] [MAXLEN <number>]
LMOVE <l> <l> (LEFT|RIGHT|x) (LEFT|RIGHT)
RPOPLPUSH <l> <l>
LMPOP <lkeys> (LEFT|RIGHT|x) [COUNT <positive>]
BLPOP <l> [<l>] <timeout>
BRPOP <l> [<k>] <timeout>
BLMOVE <l> <l> (LEFT|RIGHT) (LEFT|RIGHT|x) <timeout>
BRPOPLPUSH <l> <l> <timeout>
BLMPOP <timeout> <lkeys> (LEFT|RIGHT) [COUNT <positive>]
BLPOP <l> <l> 0
BRPOPLPUSH <l> <l> 0
BLMOVE <l> <l> LEFT RIGHT 0
DEL <l>
"""
