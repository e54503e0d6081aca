"""INFO: the engine's figures, in the sections and names of Valkey, as far as they mean something here."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from math import log
from typing import Final, TypeAlias

from store_pulsards.engine.commands.connection import COMPATIBLE, VERSION
from store_pulsards.engine.commands.objects import resident_bytes
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import Database
from store_pulsards.engine.replies import Reply, Verbatim
from store_pulsards.engine.table import LOADING, STALE, family

command = family("server")

PERCENTILES: Final = (50, 99, 99.9)
Section: TypeAlias = dict[str, object]

BEYOND_DEFAULT: Final = frozenset({"commandstats", "latencystats"})


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
        if _is_wanted(title.lower(), wanted)
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
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": sys.maxsize.bit_length() + 1,
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
        "executable": sys.executable,
        "config_file": "",
    }


def _clients(ctx: Context) -> Section:
    sessions = ctx.engine.sessions.values()
    return {
        "connected_clients": len(sessions),
        "cluster_connections": 0,
        "maxclients": ctx.engine.config.fact(b"maxclients"),
        "blocked_clients": sum(session.blocked is not None for session in sessions),
        "tracking_clients": len(ctx.engine.tracking.clients),
        "pubsub_clients": sum(session.subscribed for session in sessions),
        "watching_clients": sum(bool(session.watched) for session in sessions),
        "total_watched_keys": sum(len(db.watchers) for db in ctx.keyspace.databases),
        "total_blocking_keys": sum(len(db.waiters) for db in ctx.keyspace.databases),
    }


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
        "rdb_changes_since_last_save": ctx.keyspace.dirty,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": int(ctx.engine.started),
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        "rdb_saves": 0,
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
        "aof_rewrite_scheduled": 0,
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": "ok",
        "aof_last_write_status": "ok",
    }


def _stats(ctx: Context) -> Section:
    engine = ctx.engine
    return {
        "total_connections_received": engine.sessions_made,
        "total_commands_processed": engine.executed,
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
    }


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
        f"latency_percentiles_usec_{name}": ",".join(f"p{part:g}={each.percentile(part):.3f}" for part in PERCENTILES)
        for name, each in ctx.engine.observation.distributions.items()
        if each.calls
    }


def _cluster(ctx: Context) -> Section:
    return {"cluster_enabled": 0}


def _keyspace(ctx: Context) -> Section:
    return {f"db{db.index}": _figures(db) for db in ctx.keyspace.databases if db.data}


def _figures(db: Database) -> str:
    return f"keys={len(db.data)},expires={len(db.expires)},avg_ttl=0"


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
    "Keyspace": _keyspace,
}
