"""redis-py's methods on the server: scripts, functions, channels, clients, users, configuration, what it measures."""

from __future__ import annotations

from typing import Any

from tests.client.cases import Family, call, first, kind, shape, unordered

SHA = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"  # of "return 1"
LIBRARY = """#!lua name=lib
server.register_function{function_name='echo', callback=function(keys, args) return {keys[1], args[1]} end,
                         flags={'no-writes'}, description='says it again'}
"""


def fields(value: Any) -> Any:
    """INFO: what is there, whatever its figures."""
    return {name: type(figure) for name, figure in value.items()}


def most_fields(value: Any) -> Any:
    """The whole of INFO, without what depends on what has happened so far."""
    return {name: kind for name, kind in fields(value).items() if not name.startswith(("db", "errorstat", "cmdstat"))}


def client_fields(value: Any) -> Any:
    """A client, or the first of several, without what differs from one to the next."""
    return fields(value[0] if isinstance(value, list) else value)


SCRIPTS = Family(
    "scripts",
    [call("script_flush"), call("script_load", "return 1"), call("set", "k", "v")],
    [
        call("eval", "return {KEYS[1], ARGV[1], 1, false, {ok='fine'}}", 1, "k", "a"),
        call("eval", "return redis.call('GET', KEYS[1])", 1, "k"),
        call("eval", "return redis.error_reply('MY own error')", 0),
        call("eval", "return redis.call('INCR', KEYS[1])", 1, "k"),
        call("eval", "this is no Lua", 0),
        call("eval_ro", "return redis.call('GET', KEYS[1])", 1, "k"),
        call("eval_ro", "return redis.call('SET', KEYS[1], 1)", 1, "k"),
        call("evalsha", SHA, 0),
        call("evalsha", "0" * 40, 0),
        call("evalsha_ro", SHA, 0),
        call("script_load", "return 2"),
        call("script_exists", SHA, "0" * 40),
        call("script_flush"),
        call("script_flush", sync_type="ASYNC"),
        call("script_kill"),
        call("script_debug"),
    ],
)

FUNCTIONS = Family(
    "functions",
    [call("function_flush"), call("function_load", LIBRARY)],
    [
        call("function_load", LIBRARY, replace=True),
        call("function_load", LIBRARY),
        call("function_load", "no library"),
        call("function_list"),
        call("function_list", withcode=True),
        call("function_list", library="none*"),
        call("function_stats"),
        call("function_dump"),
        call("function_restore", "garbage"),
        call("function_delete", "lib"),
        call("function_delete", "none"),
        call("function_flush", mode="ASYNC"),
        call("function_kill"),
        call("fcall", "echo", 1, "k", "a"),
        call("fcall_ro", "echo", 1, "k", "a"),
        call("fcall", "none", 0),
    ],
)

CHANNELS = Family(
    "channels",
    [],
    [
        call("publish", "c", "message"),
        call("spublish", "c", "message"),
        call("pubsub_channels"),
        call("pubsub_channels", "c*"),
        call("pubsub_numsub"),
        call("pubsub_numsub", "c", "d"),
        call("pubsub_numpat"),
        call("pubsub_shardchannels"),
        call("pubsub_shardnumsub"),
        call("pubsub_shardnumsub", "c"),
    ],
)

CLIENTS = Family(
    "clients",
    [],
    [
        call("ping"),
        call("echo", "é"),
        call("client_id") >> kind,
        call("client_info") >> client_fields,
        call("client_list") >> client_fields,
        call("client_list", _type="normal") >> client_fields,
        call("client_list", client_id=[99_999_999]),
        call("client_list", _type="wrong"),
        call("client_getname"),
        call("client_setname", "name"),
        call("client_setname", "no name"),
        call("client_setinfo", "lib-name", "library"),
        call("client_getredir"),
        call("client_trackinginfo"),
        call("client_kill", "127.0.0.1:1"),
        call("client_kill_filter", _id=99_999_999),
        call("client_kill_filter", addr="127.0.0.1:1"),
        call("client_kill_filter"),
        call("client_unblock", 99_999_999),
        call("client_unblock", 99_999_999, error=True),
        call("client_pause", 1, all=False),
        call("client_unpause"),
        call("client_no_evict", "OFF"),
        call("client_no_touch", "OFF"),
    ],
)

USERS = Family(
    "users",
    [call("acl_setuser", "ada", reset=True, enabled=True, passwords="+secret", commands=["+get"], keys=["a*"])],
    [
        call("acl_cat") >> unordered,
        call("acl_cat", "read") >> unordered,
        call("acl_cat", "wrong"),
        call("acl_deluser", "ada", "none"),
        call("acl_genpass") >> (lambda value: (type(value), len(value))),
        call("acl_genpass", 32) >> (lambda value: (type(value), len(value))),
        call("acl_genpass", "wrong"),
        call("acl_getuser", "ada"),
        call("acl_getuser", "default"),
        call("acl_getuser", "none"),
        call("acl_list") >> unordered,
        call("acl_users") >> unordered,
        call("acl_whoami"),
        call("acl_log_reset"),
        call("acl_log"),
        call("acl_log", "wrong"),
        call("acl_dryrun", "ada", "get", "a1"),
        call("acl_dryrun", "ada", "get", "b1"),
        call("acl_dryrun", "none", "get", "b1"),
        call("acl_setuser", "bob", enabled=True, nopass=True, categories=["+@all"], channels=["*"]),
        call("acl_setuser", "bob", selectors=[("+set", "b*")]),
        call("acl_setuser", "bob", nopass=True, passwords="+x"),
        call("acl_load"),
        call("acl_save"),
        call("acl_help"),
    ],
)

SETTINGS = Family(
    "configuration and commands",
    [call("config_set", "slowlog-log-slower-than", 10_000_000)],
    [
        call("config_get", "maxmemory*"),
        call("config_get", "maxmemory", "port"),
        call("config_get", "none"),
        call("config_set", "slowlog-max-len", 128),
        call("config_set", "slowlog-max-len", 128, "maxmemory", 0),
        call("config_set", "no-such", 1),
        call("config_resetstat"),
        call("config_rewrite"),
        call("command") >> (lambda commands: {name: (type(name), shape(entry)) for name, entry in commands.items()}),
        call("command_count"),
        call("command_list") >> unordered,
        call("command_list", module="none"),
        call("command_list", category="geo") >> unordered,
        call("command_list", pattern="get*") >> unordered,
        call("command_info") >> len,
        call("command_docs", "get"),
        call("command_getkeys", "mset", "a", 1, "b", 2),
        call("command_getkeys", "ping"),
        call("command_getkeysandflags", "copy", "a", "b"),
        call("module_list"),
        call("module_load", "/no/such/module"),
        call("module_loadex", "/no/such/module", ["a", "b"], ["c"]),
        call("module_unload", "none"),
        call("replicaof", "NO", "ONE"),
        call("slaveof"),
        call("failover"),
        call("cluster", "INFO"),
        call("lolwut") >> kind,
        call("lolwut", 5, 1, 1, 1) >> kind,
    ],
)

MEASURES = Family(
    "what the server measures",
    [
        call("config_set", "slowlog-log-slower-than", 0),
        call("set", "slow", 1),
        call("config_set", "slowlog-log-slower-than", 10_000_000),
    ],
    [
        call("info") >> most_fields,
        call("info", "server") >> fields,
        call("info", "keyspace") >> fields,
        call("info", "clients", "memory") >> fields,
        call("info", "none"),
        call("info", "commandstats") >> (lambda value: shape(value["cmdstat_config|set"])),
        call("time") >> shape,
        call("lastsave") >> kind,
        call("save"),
        call("role"),
        call("memory_doctor") >> kind,
        call("memory_malloc_stats") >> kind,
        call("memory_purge"),
        call("memory_stats") >> fields,
        call("memory_help"),
        call("latency_latest"),
        call("latency_history", "command"),
        call("latency_reset"),
        call("latency_reset", "command"),
        call("latency_doctor"),
        call("latency_graph"),
        call("latency_histogram"),
        call("slowlog_get", 1) >> first,
        call("slowlog_get", 128) >> first,
        call("slowlog_len") >> kind,
        call("slowlog_reset"),
        call("hotkeys_get"),
    ],
)

RAW = Family(
    "commands by name",
    [call("set", "k", "v"), call("zadd", "z", {"m": 1})],
    [
        call("execute_command", "GET", "k"),
        call("execute_command", "get", "k"),
        call("execute_command", b"GET", "k"),
        call("execute_command", "CLIENT GETNAME"),
        call("execute_command", "client id") >> kind,
        call("execute_command", b"CONFIG GET", "maxmemory"),
        call("execute_command", "CONFIG", "GET", "maxmemory"),
        call("execute_command", "INFO", "server") >> fields,
        call("execute_command", "ZRANGE", "z", 0, -1, "WITHSCORES"),
        call("execute_command", "HGETALL", "none"),
        call("execute_command", "EXISTS", "k"),
        call("execute_command", "NO SUCH", "k"),
        call("execute_command", "GET"),
        call("execute_command", "GET", "z"),
        call("execute_command", "ZADD", "z", "x", "m"),
        call("execute_command", "OBJECT HELP"),
    ],
)

SERVER = [SCRIPTS, FUNCTIONS, CHANNELS, CLIENTS, USERS, SETTINGS, MEASURES, RAW]
