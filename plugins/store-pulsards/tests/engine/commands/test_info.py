"""INFO: what tools read of it is there, and is true."""

from __future__ import annotations

from typing import Protocol

import pytest
import redis

from store_pulsards.engine.engine import Engine
from store_pulsards.session import Session


class Clock(Protocol):
    now: float


def fields(engine: Engine, session: Session, *sections: bytes) -> dict[str, str]:
    text = engine.execute(session, [b"INFO", *sections]).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


# What Valkey's INFO has and this one has not, with the reason.
LEFT_OUT = {
    "the event loop and the processor belong to the program around the engine": {
        *("multiplexing_api", "gcc_version", "clients_hz", "listener0", "used_active_time_main_thread"),
        *("eventloop_cycles", "eventloop_duration_sum", "eventloop_duration_cmd_sum"),
        *("instantaneous_eventloop_cycles_per_sec", "instantaneous_eventloop_duration_usec"),
    },
    "counting it would cost every command, or hold up everybody": {
        *("keyspace_hits", "keyspace_misses"),  # there while latency-tracking is on
        *("total_reads_processed", "total_writes_processed", "client_recent_max_input_buffer"),
        *("client_recent_max_output_buffer", "keys_with_volatile_items", "tracking_total_items"),
    },
    "there is no such thing": {
        *("tls_server_cert_serial", "tls_server_cert_expires_in_seconds", "tls_client_cert_serial"),
        *("tls_client_cert_expires_in_seconds", "tls_ca_cert_serial", "tls_ca_cert_expires_in_seconds"),
        *("acl_access_denied_tls_cert", "total_net_cluster_slot_import_bytes", "total_net_cluster_slot_export_bytes"),
        *("io_threaded_freed_objects", "io_threaded_accept_processed", "io_threaded_poll_processed"),
        *("io_threaded_total_prefetch_batches", "io_threaded_total_prefetch_entries", "reply_buffer_shrinks"),
        *("reply_buffer_expands", "dump_payload_sanitizations", "slot_migration_fork_in_progress"),
        *("module", "engine_0"),
    },
    "keys expire by their deadlines, not by samples": {
        *("expired_stale_perc", "expired_keys_with_volatile_items_stale_perc", "expired_time_cap_reached_count"),
        "expire_cycle_cpu_milliseconds",
    },
}
VARYING = ("db", "cmdstat_", "latency_percentiles_usec_", "errorstat_")
SEEN_IN_A_CLUSTER = {"# Cluster Info", "# TLS"}


def of_valkey(address: tuple[str, int], *sections: str) -> str:
    with redis.Redis(*address) as client:
        client.set_response_callback("INFO", lambda reply, **_: reply)
        text: bytes = client.execute_command("INFO", *sections)
        return text.decode()


def names(text: str, *, without: str = "") -> set[str]:
    """The fields of a text, but for those of a section."""
    parts = [part for part in text.split("# ") if not without or not part.startswith(without)]
    lines = [line for part in parts for line in part.splitlines() if ":" in line]
    return {line.partition(":")[0] for line in lines if not line.startswith(VARYING)}


def test_every_section_of_valkey_that_tools_read_is_there(engine: Engine, valkey: tuple[str, int]) -> None:
    session = engine.session()
    engine.execute(session, [b"SET", b"a", b"1"])
    ours = engine.execute(session, [b"INFO", b"everything"]).decode()
    theirs = of_valkey(valkey, "everything")
    titles = {line for line in theirs.splitlines() if line.startswith("# ")}
    assert titles - set(ours.splitlines()) == SEEN_IN_A_CLUSTER


@pytest.mark.parametrize(
    "sections",
    ["", "all", "default", "server stats", "SERVER commandstats", "default latencystats", "keyspace nosuch", "nosuch"],
)
def test_the_sections_that_are_asked_for_are_those_of_valkey(
    engine: Engine, valkey: tuple[str, int], sections: str
) -> None:
    session = engine.session()
    ours = engine.execute(session, [b"INFO", *sections.encode().split()]).decode()
    theirs = of_valkey(valkey, *sections.split())
    titles = [line for line in theirs.splitlines() if line.startswith("# ") and line not in SEEN_IN_A_CLUSTER]
    assert [line for line in ours.splitlines() if line.startswith("# ")] == titles


def test_no_field_of_valkey_is_missing_without_a_reason(engine: Engine, valkey: tuple[str, int]) -> None:
    session = engine.session()
    ours = names(engine.execute(session, [b"INFO", b"everything"]).decode())
    theirs = names(of_valkey(valkey, "everything"), without="Memory")
    left_out = set().union(*LEFT_OUT.values())
    assert theirs - ours - left_out == {*()}
    assert ours & left_out == {*()}


# What tools read: redis-cli --stat, RedisInsight, the exporter of Prometheus, Datadog's agent, redis-py, Flower.
READ_BY_TOOLS = """
    redis_version redis_mode server_mode os arch_bits process_id run_id tcp_port uptime_in_seconds uptime_in_days hz
    connected_clients blocked_clients tracking_clients maxclients cluster_connections pubsub_clients watching_clients
    used_memory used_memory_human used_memory_rss used_memory_peak used_memory_lua maxmemory maxmemory_policy
    mem_fragmentation_ratio mem_allocator total_system_memory active_defrag_running lazyfree_pending_objects
    loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status
    rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec rdb_last_cow_size aof_enabled aof_rewrite_in_progress
    aof_rewrite_scheduled aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_last_bgrewrite_status
    aof_last_write_status aof_last_cow_size total_connections_received total_commands_processed
    instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes instantaneous_input_kbps
    instantaneous_output_kbps rejected_connections sync_full sync_partial_ok sync_partial_err expired_keys evicted_keys
    pubsub_channels pubsub_patterns latest_fork_usec migrate_cached_sockets slave_expires_tracked_keys
    active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses total_error_replies
    role connected_slaves master_replid master_repl_offset second_repl_offset repl_backlog_active repl_backlog_size
    repl_backlog_first_byte_offset repl_backlog_histlen used_cpu_sys used_cpu_user used_cpu_sys_children
    used_cpu_user_children cluster_enabled
"""


def test_what_tools_read_is_in_the_default_sections(engine: Engine) -> None:
    found = fields(engine, engine.session())
    wanted = set(READ_BY_TOOLS.split())
    assert wanted - found.keys() == {*()}


def test_hits_and_misses_are_counted_while_latency_tracking_is_on(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"MSET", b"a", b"1", b"b", b"2"])
    engine.execute(session, [b"GET", b"a"])
    assert "keyspace_hits" not in fields(engine, session, b"stats")
    engine.execute(session, [b"CONFIG", b"SET", b"latency-tracking", b"yes"])
    engine.execute(session, [b"MGET", b"a", b"b", b"c"])
    engine.execute(session, [b"GET", b"d"])
    engine.execute(session, [b"SET", b"e", b"1"])
    found = fields(engine, session, b"stats")
    assert (found["keyspace_hits"], found["keyspace_misses"]) == ("2", "2")
    engine.execute(session, [b"CONFIG", b"RESETSTAT"])
    found = fields(engine, session, b"stats")
    assert (found["keyspace_hits"], found["keyspace_misses"]) == ("0", "0")


def test_the_rate_is_that_of_the_last_second_and_a_half(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    for _ in range(10):  # a command each 10 ms
        for _ in range(10):
            engine.execute(session, [b"PING"])
            clock.now += 0.01
        engine.tend()
    assert 95 <= int(fields(engine, session, b"stats")["instantaneous_ops_per_sec"]) <= 105
    clock.now += 100
    assert fields(engine, session, b"stats")["instantaneous_ops_per_sec"] == "0"


def test_a_pause_is_told(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    engine.execute(session, [b"CLIENT", b"PAUSE", b"5000", b"WRITE"])
    found = fields(engine, session, b"clients")
    assert (found["paused_reason"], found["paused_actions"]) == ("client_pause", "write")
    assert found["paused_timeout_milliseconds"] == "5000"
    clock.now += 6
    assert fields(engine, session, b"clients")["paused_reason"] == "none"


def test_the_average_time_to_live_is_that_of_the_keys_that_expire(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"SET", b"a", b"1"])
    for key, seconds in ((b"b", b"10"), (b"c", b"30")):
        engine.execute(session, [b"SET", key, b"1", b"EX", seconds])
    assert fields(engine, session, b"keyspace") == {"db0": "keys=3,expires=2,avg_ttl=20000"}


def test_the_default_has_no_statistics_of_commands(engine: Engine) -> None:
    text = engine.execute(engine.session(), [b"INFO"])
    assert b"# Commandstats" not in text
    assert b"# Errorstats" in text


def test_errors_are_counted_by_their_code_until_the_statistics_are_reset(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"LPUSH", b"list", b"x"])
    engine.execute(session, [b"GET", b"list"])
    engine.execute(session, [b"NOSUCH"])
    found = fields(engine, session, b"errorstats")
    assert found == {"errorstat_WRONGTYPE": "count=1", "errorstat_ERR": "count=1"}
    engine.execute(session, [b"CONFIG", b"RESETSTAT"])
    assert fields(engine, session, b"errorstats") == {}


def test_commands_are_counted_while_latency_tracking_is_on(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"PING"])
    engine.execute(session, [b"CONFIG", b"SET", b"latency-tracking", b"yes"])
    for _ in range(3):
        engine.execute(session, [b"PING"])
    engine.execute(session, [b"INCRBY", b"a", b"x"])
    engine.execute(session, [b"GET"])
    found = fields(engine, session, b"commandstats", b"latencystats")
    assert found["cmdstat_ping"].startswith("calls=3,usec=")
    assert found["cmdstat_incrby"].endswith("rejected_calls=0,failed_calls=1")
    assert found["cmdstat_get"].endswith("rejected_calls=1,failed_calls=0")
    assert found["latency_percentiles_usec_ping"].startswith("p50=")
