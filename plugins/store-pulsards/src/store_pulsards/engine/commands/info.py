"""INFO: the engine's figures, in the sections and names of Valkey, as far as they mean something here."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from store_pulsards.engine.commands.connection import COMPATIBLE, VERSION
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import Database
from store_pulsards.engine.replies import Reply, Verbatim
from store_pulsards.engine.table import LOADING, STALE, family

command = family("server")

Section: TypeAlias = dict[str, object]

DEFAULT: Final = frozenset({"default", "all", "everything"})


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
        if title.lower() in wanted or wanted & DEFAULT
    ]
    return Verbatim("\r\n".join(parts).encode())


def _server(ctx: Context) -> Section:
    now = ctx.keyspace.clock()
    uptime = int(now - ctx.engine.started)
    return {
        "redis_version": COMPATIBLE.decode(),
        "server_name": "valkey",
        "valkey_version": VERSION.decode(),
        "server_mode": "standalone",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": sys.maxsize.bit_length() + 1,
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "tcp_port": ctx.engine.config.fact(b"port"),
        "server_time_usec": int(now * 1_000_000),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86_400,
    }


def _clients(ctx: Context) -> Section:
    sessions = ctx.engine.sessions.values()
    return {
        "connected_clients": len(sessions),
        "maxclients": ctx.engine.config.fact(b"maxclients"),
        "blocked_clients": sum(session.blocked is not None for session in sessions),
        "pubsub_clients": sum(session.subscribed for session in sessions),
        "watching_clients": sum(bool(session.watched) for session in sessions),
        "total_watched_keys": sum(len(db.watchers) for db in ctx.keyspace.databases),
        "total_blocking_keys": sum(len(db.waiters) for db in ctx.keyspace.databases),
    }


def _memory(ctx: Context) -> Section:
    used = _resident()
    return {
        "used_memory": used,
        "used_memory_human": f"{used / 2**20:.2f}M",
        "used_memory_rss": used,
        "used_memory_rss_human": f"{used / 2**20:.2f}M",
        "maxmemory": 0,
        "maxmemory_human": "0B",
        "maxmemory_policy": "noeviction",
    }


def _resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError):
        return 0


def _persistence(ctx: Context) -> Section:
    return {
        "loading": 0,
        "rdb_changes_since_last_save": ctx.keyspace.dirty,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": int(ctx.engine.started),
        "aof_enabled": 0,
    }


def _stats(ctx: Context) -> Section:
    engine = ctx.engine
    return {
        "total_connections_received": engine.sessions_made,
        "total_commands_processed": engine.executed,
        "total_error_replies": engine.failed,
        "expired_keys": ctx.keyspace.expired,
        "expired_fields": ctx.keyspace.expired_fields,
        "evicted_keys": 0,
        "pubsub_channels": len(engine.pubsub.channels),
        "pubsub_patterns": len(engine.pubsub.patterns),
        "pubsubshard_channels": len(engine.pubsub.shard_channels),
    }


def _replication(ctx: Context) -> Section:
    return {"role": "master", "connected_slaves": 0, "master_repl_offset": 0}


def _cpu(ctx: Context) -> Section:
    times = os.times()
    return {"used_cpu_sys": f"{times.system:.6f}", "used_cpu_user": f"{times.user:.6f}"}


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
    "Cluster": _cluster,
    "Keyspace": _keyspace,
}
