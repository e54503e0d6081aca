"""INFO: the engine's figures, in the sections and names of Valkey, as far as they mean something here."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from itertools import islice
from math import log
from typing import Final, TypeAlias

from store_pulsards.engine.commands.connection import COMPATIBLE, VERSION
from store_pulsards.engine.commands.objects import resident_bytes
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import Database
from store_pulsards.engine.replies import Reply, Verbatim
from store_pulsards.engine.table import LOADING, STALE, family

command = family("server")

LRU_BITS: Final = 2**24 - 1
Section: TypeAlias = dict[str, object]

BEYOND_DEFAULT: Final = frozenset({"commandstats", "latencystats", "scriptingengines"})
SAMPLE: Final = 100  # keys that expire, of which the average time to live is taken


@command(
    "INFO",
    arity=-1,
    flags=LOADING | STALE,
    acl=("dangerous",),
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def info(ctx: Context, *sections: bytes) -> Reply:
    """Returns information and statistics about the server."""
    wanted = {section.decode("utf-8", "replace").lower() for section in sections} or {"default"}
    parts = [
        f"# {title}\r\n" + "".join(f"{name}:{value}\r\n" for name, value in section(ctx).items())
        for title, section in SECTIONS.items()
        if _is_wanted(title.lower().replace(" ", ""), wanted)
    ]
    return Verbatim("\r\n".join(parts).encode())


def _is_wanted(name: str, wanted: set[str]) -> bool:
    if name in wanted or not wanted.isdisjoint(("all", "everything")):
        return True
    return "default" in wanted and name not in BEYOND_DEFAULT


def _human(size: float) -> str:
    """As Valkey shows a number of bytes: ``1.04M``."""
    if size < 1024:
        return f"{size:.0f}B"
    power = min(4, int(log(size, 1024)))
    return f"{size / 1024**power:.2f}{'BKMGT'[power]}"


def _server(ctx: Context) -> Section:
    now = ctx.keyspace.clock()
    uptime = int(now - ctx.engine.started)
    return {
        "redis_version": COMPATIBLE.decode(),
        "server_name": "valkey",
        "valkey_version": VERSION.decode(),
        "valkey_release_stage": "ga",
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "pulsards",
        "server_mode": "standalone",
        "redis_mode": "standalone",  # what tools for Redis read
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": sys.maxsize.bit_length() + 1,
        "monotonic_clock": "POSIX clock_gettime",
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "process_supervised": "no",
        "run_id": ctx.engine.run_id,
        "tcp_port": ctx.engine.config.fact(b"port"),
        "server_time_usec": int(now * 1_000_000),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86_400,
        "hz": 10,
        "configured_hz": 10,
        "lru_clock": int(now) & LRU_BITS,
        "executable": sys.executable,
        "config_file": "",
        "io_threads_active": 0,
        "availability_zone": ctx.engine.config.fact(b"availability-zone"),
    }


def _clients(ctx: Context) -> Section:
    sessions = ctx.engine.sessions.values()
    blocked = [session.blocked for session in sessions if session.blocked is not None]
    return {
        "connected_clients": len(sessions),
        "cluster_connections": 0,
        "maxclients": ctx.engine.config.fact(b"maxclients"),
        "blocked_clients": len(blocked),
        "tracking_clients": len(ctx.engine.tracking.clients),
        "pubsub_clients": sum(session.subscribed for session in sessions),
        "watching_clients": sum(bool(session.watched) and not session.spoiled for session in sessions),
        "clients_in_timeout_table": sum(each.deadline is not None for each in blocked),
        "total_watched_keys": sum(len(db.watchers) for db in ctx.keyspace.databases),
        "total_blocking_keys": sum(len(db.waiters) for db in ctx.keyspace.databases),
        "total_blocking_keys_on_nokey": len(
            {(each.database.index, key) for each in blocked if not each.needs_key for key in each.keys}
        ),
        **_pause(ctx),
    }


def _pause(ctx: Context) -> Section:
    pause = ctx.engine.pause
    left = int((pause.until - ctx.keyspace.clock()) * 1000)
    if left <= 0:
        return {"paused_reason": "none", "paused_actions": "none", "paused_timeout_milliseconds": 0}
    actions = "write" if pause.only_writes else "all"
    return {"paused_reason": "client_pause", "paused_actions": actions, "paused_timeout_milliseconds": left}


def _memory(ctx: Context) -> Section:
    memory, config = ctx.engine.memory, ctx.engine.config
    used, overhead, resident, total = memory.used(), memory.overhead(), resident_bytes(), _system_bytes()
    return {
        "used_memory": used,
        "used_memory_human": _human(used),
        "used_memory_rss": resident,
        "used_memory_rss_human": _human(resident),
        "used_memory_peak": memory.peak,
        "used_memory_peak_human": _human(memory.peak),
        "used_memory_peak_perc": f"{100 * used / memory.peak:.2f}%",
        "used_memory_overhead": overhead,
        "used_memory_startup": 0,
        "used_memory_dataset": used - overhead,
        "used_memory_dataset_perc": f"{100 * (used - overhead) / used:.2f}%",
        "used_memory_lua": 0,
        "used_memory_lua_human": "0B",
        "used_memory_scripts": 0,
        "number_of_cached_scripts": 0,
        "total_system_memory": total,
        "total_system_memory_human": _human(total),
        "maxmemory": config.limit,
        "maxmemory_human": _human(config.limit),
        "maxmemory_policy": config.policy.decode(),
        "mem_fragmentation_ratio": f"{resident / used:.2f}",
        "mem_fragmentation_bytes": resident - used,
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": 0,
        "mem_total_replication_buffers": 0,
        "mem_clients_slaves": 0,
        "mem_clients_normal": 0,
        "mem_cluster_links": 0,
        "mem_aof_buffer": 0,
        "mem_allocator": "python",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": 0,
    }


def _system_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError):
        return 0


def _persistence(ctx: Context) -> Section:
    return {
        "loading": 0,
        "async_loading": 0,
        "current_cow_peak": 0,
        "current_cow_size": 0,
        "current_cow_size_age": 0,
        "current_fork_perc": "0.00",
        "current_save_keys_processed": 0,
        "current_save_keys_total": 0,
        "rdb_changes_since_last_save": ctx.keyspace.dirty,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": int(ctx.engine.started),
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        "rdb_saves": 0,
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": 0,
        "rdb_last_load_keys_loaded": 0,
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
        "aof_rewrite_scheduled": 0,
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": "ok",
        "aof_last_write_status": "ok",
        "aof_rewrites": 0,
        "aof_rewrites_consecutive_failures": 0,
        "aof_last_cow_size": 0,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
    }


def _stats(ctx: Context) -> Section:
    engine = ctx.engine
    return {
        "total_connections_received": engine.sessions_made - engine.traffic.before - engine.traffic.refused,
        "total_commands_processed": engine.executed,
        **_rates(ctx),
        **_lookups(ctx),
        "total_error_replies": engine.failed,
        "sync_full": 0,
        "sync_partial_ok": 0,
        "sync_partial_err": 0,
        "expired_keys": ctx.keyspace.expired,
        "expired_fields": ctx.keyspace.expired_fields,
        "evicted_keys": engine.memory.evicted,
        "total_eviction_exceeded_time": engine.memory.over_total,
        "current_eviction_exceeded_time": engine.memory.over_now,
        "pubsub_channels": len(engine.pubsub.channels),
        "pubsub_patterns": len(engine.pubsub.patterns),
        "pubsubshard_channels": len(engine.pubsub.shard_channels),
        "tracking_total_keys": len(engine.tracking.keys),
        "tracking_total_prefixes": len(
            {prefix for each in engine.tracking.clients.values() for prefix in each.prefixes}
        ),
        "acl_access_denied_auth": engine.acl_log.denied,
        **dict.fromkeys(NEVER, 0),
    }


def _rates(ctx: Context) -> Section:
    """What came in and went out, and how fast of late; an embedded store sends nothing over a wire."""
    traffic = ctx.engine.traffic
    commands, received, sent = traffic.rates(ctx.keyspace.clock(), ctx.engine.executed)
    return {
        "instantaneous_ops_per_sec": round(commands),
        "total_net_input_bytes": traffic.received,
        "total_net_output_bytes": traffic.sent,
        "instantaneous_input_kbps": f"{received:.2f}",
        "instantaneous_output_kbps": f"{sent:.2f}",
        "rejected_connections": traffic.refused,
        "client_query_buffer_limit_disconnections": traffic.dropped_for_input,
        "client_output_buffer_limit_disconnections": traffic.dropped_for_output,
    }


def _lookups(ctx: Context) -> Section:
    """Nothing where they are not counted: a zero would say that nobody reads."""
    observation = ctx.engine.observation
    if not ctx.engine.config.switch(b"latency-tracking"):
        return {}
    return {"keyspace_hits": observation.hits, "keyspace_misses": observation.misses}


# What cannot happen here: there are no forks, replicas, threads for input and output, and no defragmentation.
NEVER: Final = (
    *("total_net_repl_input_bytes", "total_net_repl_output_bytes", "instantaneous_input_repl_kbps"),
    *("instantaneous_output_repl_kbps", "evicted_clients", "evicted_scripts", "latest_fork_usec", "total_forks"),
    *("migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses"),
    *("active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time"),
    *("unexpected_error_replies", "io_threaded_reads_processed", "io_threaded_writes_processed"),
    *("acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel", "acl_access_denied_db"),
)


def _replication(ctx: Context) -> Section:
    return {
        "role": "master",
        "connected_slaves": 0,
        "replicas_waiting_psync": 0,
        "master_failover_state": "no-failover",
        "master_replid": ctx.engine.replication_id,
        "master_replid2": "0" * 40,
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": 0,
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
    }


def _cpu(ctx: Context) -> Section:
    times = os.times()
    return {
        "used_cpu_sys": f"{times.system:.6f}",
        "used_cpu_user": f"{times.user:.6f}",
        "used_cpu_sys_children": f"{times.children_system:.6f}",
        "used_cpu_user_children": f"{times.children_user:.6f}",
        **_thread_cpu(),
    }


def _thread_cpu() -> Section:
    """What the thread has used that the engine runs in; nothing where the system does not tell."""
    try:
        from resource import RUSAGE_THREAD, getrusage
    except ImportError:  # only Linux has it
        return {}
    usage = getrusage(RUSAGE_THREAD)
    return {
        "used_cpu_sys_main_thread": f"{usage.ru_stime:.6f}",
        "used_cpu_user_main_thread": f"{usage.ru_utime:.6f}",
    }


def _modules(ctx: Context) -> Section:
    return {}


def _commandstats(ctx: Context) -> Section:
    """Only what ran while ``latency-tracking`` was on."""
    return {
        f"cmdstat_{name}": f"calls={each.calls},usec={each.seconds * 1e6:.0f},"
        f"usec_per_call={each.seconds * 1e6 / max(1, each.calls):.2f},"
        f"rejected_calls={each.rejected},failed_calls={each.failed}"
        for name, each in ctx.engine.observation.distributions.items()
    }


def _errorstats(ctx: Context) -> Section:
    return {f"errorstat_{code}": f"count={count}" for code, count in ctx.engine.errors.items()}


def _latencystats(ctx: Context) -> Section:
    return {
        f"latency_percentiles_usec_{name}": ",".join(
            f"p{part:g}={each.percentile(part):.3f}" for part in ctx.engine.config.percentiles
        )
        for name, each in ctx.engine.observation.distributions.items()
        if each.calls
    }


def _cluster(ctx: Context) -> Section:
    return {"cluster_enabled": 0}


def _scripting_engines(ctx: Context) -> Section:
    return {"engines_count": 0, "engines_total_used_memory": 0, "engines_total_memory_overhead": 0}


def _keyspace(ctx: Context) -> Section:
    return {f"db{db.index}": _figures(db) for db in ctx.keyspace.databases if db.data}


def _figures(db: Database) -> str:
    """Of the keys that expire, the first ones stand for all."""
    now = db.keyspace.now()
    ends = [db.expires[key] for key in islice(db.expires, SAMPLE)]
    left = [end - now for end in ends if end > now]
    average = sum(left) // len(left) if left else 0
    return f"keys={len(db.data)},expires={len(db.expires)},avg_ttl={average}"


SECTIONS: Final[dict[str, Callable[[Context], Section]]] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "CPU": _cpu,
    "Modules": _modules,
    "Commandstats": _commandstats,
    "Errorstats": _errorstats,
    "Latencystats": _latencystats,
    "Cluster": _cluster,
    "Scripting Engines": _scripting_engines,
    "Keyspace": _keyspace,
}
