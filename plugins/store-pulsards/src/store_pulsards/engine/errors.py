"""Every error text, word for word those of Valkey 9; beside ``refusals.py``, no other file of the engine spells one.

Each name is a function that makes the error, to be raised or returned: an exception that is raised twice would keep
what the first one had seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from store_pulsards.engine.replies import ErrorReply


def _fixed(text: str) -> Callable[[], ErrorReply]:
    """The maker of an error whose text is always the same."""
    return lambda: ErrorReply(text)


class WrongSubcommand(ErrorReply):
    """A subcommand's arguments make no sense; the error has the subcommand as the client wrote it."""

    def answer(self, args: Sequence[bytes]) -> ErrorReply:
        return ErrorReply(
            f"ERR unknown subcommand or wrong number of arguments for '{show(args[1][:128])}'. Try {self.message} HELP."
        )


wrong_type: Final = _fixed("WRONGTYPE Operation against a key holding the wrong kind of value")


# Before a command runs


def unknown_command(args: Sequence[bytes]) -> ErrorReply:
    name = show(args[0][:128])
    beginning = ""
    for arg in args[1:]:
        if len(beginning) >= 128:
            break
        beginning += f"'{show(arg[: 128 - len(beginning)])}' "
    return ErrorReply(f"ERR unknown command '{name}', with args beginning with: {beginning}")


def unknown_subcommand(container: str, subcommand: bytes) -> ErrorReply:
    return ErrorReply(f"ERR unknown subcommand '{show(subcommand[:128])}'. Try {container.upper()} HELP.")


def wrong_arity(name: str) -> ErrorReply:
    return ErrorReply(f"ERR wrong number of arguments for '{name}' command")


internal: Final = _fixed("ERR internal error, the server's log has it")
out_of_memory: Final = _fixed("OOM command not allowed when used memory > 'maxmemory'.")
no_auth: Final = _fixed("NOAUTH Authentication required.")


def not_while_subscribed(name: str) -> ErrorReply:
    return ErrorReply(
        f"ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context"
    )


def not_in_transaction(name: str) -> ErrorReply:
    return ErrorReply(f"ERR Command '{name}' not allowed inside a transaction")


# Arguments

syntax_error: Final = _fixed("ERR syntax error")
not_an_integer: Final = _fixed("ERR value is not an integer or out of range")
not_a_float: Final = _fixed("ERR value is not a valid float")


def show(text: bytes) -> str:
    """Bytes of a client inside an error text: as they are, but on one line."""
    return text.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")


timeout_not_a_float: Final = _fixed("ERR timeout is not a float or out of range")
timeout_not_an_integer: Final = _fixed("ERR timeout is not an integer or out of range")
timeout_out_of_range: Final = _fixed("ERR timeout is out of range")
timeout_negative: Final = _fixed("ERR timeout is negative")


def not_an_integer_here(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} is not an integer or out of range")


invalid_cursor: Final = _fixed("ERR invalid cursor")
invalid_numkeys: Final = _fixed("ERR invalid numkeys value or out of range")


def not_positive(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} should be greater than 0")


# Connections and clients

no_password_set: Final = _fixed(
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
wrong_password: Final = _fixed("WRONGPASS invalid username-password pair or user is disabled.")
hello_needs_auth: Final = _fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same "
    "time"
)
unsupported_protocol: Final = _fixed("NOPROTO unsupported protocol version")


def hello_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Syntax error in HELLO option '{show(option)}'")


def special_characters(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} cannot contain spaces, newlines or special characters.")


database_out_of_range: Final = _fixed("ERR DB index is out of range")


def unrecognized_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unrecognized option '{show(option)}'")


def unknown_client_type(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown client type '{show(name)}'")


def unknown_client_flags(kind: str, given: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown {kind} found in the provided filter: {show(given)}")


def of_negated(error: ErrorReply, option: bytes) -> ErrorReply:
    """The error of a filter, as Valkey words it for the filter's opposite."""
    name = option.decode()
    message = error.message.replace("the provided filter", f"the {name} filter")
    return ErrorReply(message.replace("ERR DB ", f"ERR {name} "))


no_such_client: Final = _fixed("ERR No such client")


def no_such_user(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR No such user '{show(name)}'")


client_id_too_small: Final = _fixed("ERR client-id should be greater than 0")
unblock_reason: Final = _fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
unblocked: Final = _fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK")
pause_mode: Final = _fixed("ERR CLIENT PAUSE mode must be WRITE or ALL")


def client_database(last: int) -> ErrorReply:
    return ErrorReply(f"ERR DB number should be between 0 and {last}")


# Configuration and introspection

_OUTPUT_LIMIT: Final = b"client-output-buffer-limit"
_PERCENTILES: Final = b"latency-tracking-info-percentiles"


def config_unknown(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown option or number of arguments for CONFIG SET - '{show(name)}'")


def config_failed(name: bytes, reason: str) -> ErrorReply:
    return ErrorReply(f"ERR CONFIG SET failed (possibly related to argument '{show(name)}') - {reason}")


def config_not_a_number(name: bytes) -> ErrorReply:
    return config_failed(name, "argument couldn't be parsed into an integer")


def config_out_of_range(name: bytes, low: int, high: int) -> ErrorReply:
    return config_failed(name, f"argument must be between {low} and {high} inclusive")


def config_not_one_of(name: bytes, choices: Sequence[bytes]) -> ErrorReply:
    return config_failed(name, "argument(s) must be one of the following: " + ", ".join(map(show, choices)))


def config_not_a_switch(name: bytes) -> ErrorReply:
    return config_failed(name, "argument must be 'yes' or 'no'")


def output_limit_words() -> ErrorReply:
    return config_failed(_OUTPUT_LIMIT, "Wrong number of arguments in buffer limit configuration.")


def output_limit_class() -> ErrorReply:
    return config_failed(_OUTPUT_LIMIT, "Invalid client class specified in buffer limit configuration.")


def output_limit_numbers() -> ErrorReply:
    return config_failed(_OUTPUT_LIMIT, "Error in hard, soft or soft_seconds setting in buffer limit configuration.")


def invalid_percentiles() -> ErrorReply:
    return config_failed(_PERCENTILES, "Invalid latency-tracking-info-percentiles parameters")


def percentiles_out_of_range() -> ErrorReply:
    return config_failed(_PERCENTILES, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")


monitor_in_transaction: Final = _fixed("ERR MONITOR isn't allowed for DENY BLOCKING client")
log_count: Final = _fixed("ERR count should be greater than or equal to -1")
log_type: Final = _fixed("ERR type should be one of the following: slow, large-request, large-reply")


def no_samples(event: bytes) -> ErrorReply:
    return ErrorReply(f"ERR No samples available for event '{show(event)}'")


no_config_file: Final = _fixed("ERR The server is running without a config file")
packed_threshold: Final = _fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
not_in_resp2: Final = _fixed("ERR RESP2 is not supported by this command")
debug_protocol: Final = _fixed(
    "ERR Wrong protocol type name. Please use one of the following: "
    "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
)
invalid_primary_port: Final = _fixed("ERR Invalid master port")
no_failover_in_progress: Final = _fixed("ERR No failover in progress.")
no_replicas: Final = _fixed("ERR FAILOVER requires connected replicas.")
failover_timeout: Final = _fixed("ERR FAILOVER timeout must be greater than 0")


def not_allowed(command: str, reason: str) -> ErrorReply:
    """A command that belongs to what this engine does not have."""
    return ErrorReply(f"ERR {command} not allowed: {reason}")


no_cluster: Final = _fixed("ERR This instance has cluster support disabled")
module_not_allowed: Final = _fixed(
    'ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can run it from a '
    "local connection, otherwise you need to set this option in the configuration file, and then restart the server."
)
function_flush_mode: Final = _fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
no_shutdown: Final = _fixed("ERR No shutdown in progress.")
debug_not_allowed: Final = _fixed(
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local '
    "connection, otherwise you need to set this option in the configuration file, and then restart the server."
)
cannot_shut_down: Final = _fixed("ERR Errors trying to SHUTDOWN. Check logs.")
one_redirect: Final = _fixed("ERR A client can only redirect to a single other client")
no_redirect_target: Final = _fixed("ERR The client ID you want redirect to does not exist")
prefix_without_bcast: Final = _fixed("ERR PREFIX option requires BCAST mode to be enabled")
bcast_with_options: Final = _fixed("ERR OPTIN and OPTOUT are not compatible with BCAST")
optin_and_optout: Final = _fixed("ERR You can't specify both OPTIN mode and OPTOUT mode")


def tracking_mode(mode: str) -> ErrorReply:
    return ErrorReply(
        f"ERR You can't switch {mode} before disabling tracking for this client, and then re-enabling it with a "
        "different mode."
    )


def prefix_overlaps(prefix: bytes, other: bytes, which: str) -> ErrorReply:
    return ErrorReply(
        f"ERR Prefix '{show(prefix)}' overlaps with {which} prefix '{show(other)}'. "
        "Prefixes for a single client must not overlap."
    )


caching_without_tracking: Final = _fixed(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)


def caching_mode(switch: str, mode: str) -> ErrorReply:
    return ErrorReply(f"ERR CLIENT CACHING {switch} is only valid when tracking is enabled in {mode} mode.")


no_import_mode: Final = _fixed("ERR Server is not in import mode")
invalid_command: Final = _fixed("ERR Invalid command specified")
no_key_arguments: Final = _fixed("ERR The command has no key arguments")
invalid_argument_count: Final = _fixed("ERR Invalid number of arguments specified for command")
invalid_arguments: Final = _fixed("ERR Invalid arguments specified for command")


def invalid_database(which: str) -> ErrorReply:
    return ErrorReply(f"ERR invalid {which} DB index")


no_idle_time: Final = _fixed(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies "
    "at runtime LRU and LFU data will take some time to adjust."
)
no_frequency: Final = _fixed(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
    "between policies at runtime LRU and LFU data will take some time to adjust."
)


# Keys

no_such_key: Final = _fixed("ERR no such key")
same_object: Final = _fixed("ERR source and destination objects are the same")


def invalid_expire(command: str) -> ErrorReply:
    return ErrorReply(f"ERR invalid expire time in '{command}' command")


expire_nx_with_others: Final = _fixed("ERR NX and XX, GT or LT options at the same time are not compatible")
expire_gt_with_lt: Final = _fixed("ERR GT and LT options at the same time are not compatible")


def unsupported_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unsupported option {show(option)}")


def unknown_type(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR unknown type name '{show(name)}'")


busy_key: Final = _fixed("BUSYKEY Target key name already exists.")
negative_ttl: Final = _fixed("ERR Invalid TTL value, must be >= 0")
invalid_idle_time: Final = _fixed("ERR Invalid IDLETIME value, must be >= 0")
invalid_frequency: Final = _fixed("ERR Invalid FREQ value, must be >= 0 and <= 255")
bad_payload: Final = _fixed("ERR DUMP payload version or checksum are wrong")
bad_data_format: Final = _fixed("ERR Bad data format")
sort_score: Final = _fixed("ERR One or more scores can't be converted into double")


# Strings

overflow: Final = _fixed("ERR increment or decrement would overflow")
decrement_overflow: Final = _fixed("ERR decrement would overflow")
not_finite: Final = _fixed("ERR increment would produce NaN or Infinity")
offset_out_of_range: Final = _fixed("ERR offset is out of range")
string_too_long: Final = _fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
bit_offset: Final = _fixed("ERR bit offset is not an integer or out of range")
bit_value: Final = _fixed("ERR bit is not an integer or out of range")
bit_is_not_one: Final = _fixed("ERR The bit argument must be 1 or 0.")
bitop_not: Final = _fixed("ERR BITOP NOT must be called with a single source key.")
bitfield_type: Final = _fixed(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
bitfield_overflow: Final = _fixed("ERR Invalid OVERFLOW type specified")
bitfield_read_only: Final = _fixed("ERR BITFIELD_RO only supports the GET subcommand")
not_a_hyperloglog: Final = _fixed("WRONGTYPE Key is not a valid HyperLogLog string value.")
corrupted_hyperloglog: Final = _fixed("INVALIDOBJ Corrupted HLL object detected")
hyperloglog_not_sparse: Final = _fixed("ERR HLL encoding is not sparse")
key_does_not_exist: Final = _fixed("ERR The specified key does not exist")


def unknown_pfdebug(subcommand: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown PFDEBUG subcommand '{show(subcommand)}'")


on_or_off: Final = _fixed("ERR Argument must be ON or OFF")


def selftest_failed(reason: str) -> ErrorReply:
    return ErrorReply(f"TESTFAILED {reason}")


# Geo


def invalid_place(longitude: float, latitude: float) -> ErrorReply:
    return ErrorReply(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")


unsupported_unit: Final = _fixed("ERR unsupported unit provided. please use M, KM, FT, MI")


def need_numeric(what: str) -> Callable[[], ErrorReply]:
    return lambda: ErrorReply(f"ERR need numeric {what}")


negative_radius: Final = _fixed("ERR radius cannot be negative")
negative_side: Final = _fixed("ERR height or width cannot be negative")
number_of_vertices: Final = _fixed("ERR invalid number of vertices")
too_few_vertices: Final = _fixed("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices")
geo_count: Final = _fixed("ERR COUNT must be > 0")


def no_such_member(member: bytes) -> ErrorReply:
    return ErrorReply(f"ERR member {show(member)} does not exist")


def stored_and_shown(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")


def no_centre(command: str) -> ErrorReply:
    return ErrorReply(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {command}")


def no_shape(command: str) -> ErrorReply:
    return ErrorReply(f"ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {command}")


any_without_count: Final = _fixed("ERR the ANY argument requires COUNT argument")
lcs_types: Final = _fixed("ERR The specified keys must contain string values")
lcs_len_and_idx: Final = _fixed("ERR If you want both the length and indexes, please just use IDX.")


# Transactions

exec_without_multi: Final = _fixed("ERR EXEC without MULTI")
discard_without_multi: Final = _fixed("ERR DISCARD without MULTI")
exec_aborted: Final = _fixed("EXECABORT Transaction discarded because of previous errors.")


def aborted_because(error: ErrorReply) -> ErrorReply:
    return ErrorReply(f"EXECABORT Transaction discarded because of: {error.message.removeprefix('ERR ')}")


# Pub/sub


def pubsub_arity(subcommand: str) -> ErrorReply:
    return ErrorReply(f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try PUBSUB HELP.")


# Hashes, lists, sets, sorted sets

numfields_mismatch: Final = _fixed("ERR numfields should be greater than 0 and match the provided number of fields")
hash_value_not_an_integer: Final = _fixed("ERR hash value is not an integer")
hash_value_not_a_float: Final = _fixed("ERR hash value is not a float")
infinite_increment: Final = _fixed("ERR value is NaN or Infinity")
out_of_range: Final = _fixed("ERR value is out of range")
out_of_symmetric_range: Final = _fixed(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
must_be_positive: Final = _fixed("ERR value is out of range, must be positive")
not_zero_or_one: Final = _fixed("ERR value is out of range, value must between 0 and 1")
no_append_only_file: Final = _fixed("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
index_out_of_range: Final = _fixed("ERR index out of range")
rank_is_zero: Final = _fixed(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    "or use negative to start from the end of the list"
)


def negative_option(option: str) -> ErrorReply:
    return ErrorReply(f"ERR {option} can't be negative")


numkeys_not_positive: Final = _fixed("ERR numkeys should be greater than 0")
count_not_positive: Final = _fixed("ERR count should be greater than 0")
too_many_keys: Final = _fixed("ERR Number of keys can't be greater than number of args")


def no_input_key(command: str) -> ErrorReply:
    return ErrorReply(f"ERR at least 1 input key is needed for '{command}' command")


bound_not_a_float: Final = _fixed("ERR min or max is not a float")
bound_not_a_string: Final = _fixed("ERR min or max not valid string range item")
weight_not_a_float: Final = _fixed("ERR weight value is not a float")
score_not_a_number: Final = _fixed("ERR resulting score is not a number (NaN)")
zadd_nx_and_xx: Final = _fixed("ERR XX and NX options at the same time are not compatible")
zadd_gt_lt_nx: Final = _fixed("ERR GT, LT, and/or NX options at the same time are not compatible")
zadd_incr_of_several: Final = _fixed("ERR INCR option supports a single increment-element pair")
limit_without_by: Final = _fixed(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
withscores_with_bylex: Final = _fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX")


def scan_option_of_another(option: str, command: str) -> ErrorReply:
    return ErrorReply(f"ERR {option} option can only be used in {command}")


# Streams

invalid_stream_id: Final = _fixed("ERR Invalid stream ID specified as stream command argument")


def invalid_interval(end: str) -> ErrorReply:
    return ErrorReply(f"ERR invalid {end} ID for the interval")


xadd_zero: Final = _fixed("ERR The ID specified in XADD must be greater than 0-0")
xadd_too_small: Final = _fixed("ERR The ID specified in XADD is equal or smaller than the target stream top item")
xadd_exhausted: Final = _fixed("ERR The stream has exhausted the last possible ID, unable to add more items")
entry_too_large: Final = _fixed("ERR Elements are too large to be stored")
two_trimmings: Final = _fixed("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")


def trimming_negative(option: str) -> ErrorReply:
    return ErrorReply(f"ERR The {option} argument must be >= 0.")


limit_without_trimming: Final = _fixed("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
limit_of_exact_trimming: Final = _fixed("ERR syntax error, LIMIT cannot be used without the special ~ option")
xtrim_without_trimming: Final = _fixed("ERR syntax error, XTRIM must be called with a trimming strategy")
xsetid_below_given_deleted: Final = _fixed(
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
xsetid_below_deleted: Final = _fixed("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
xsetid_below_top: Final = _fixed("ERR The ID specified in XSETID is smaller than the target stream top item")
xsetid_entries_added: Final = _fixed(
    "ERR The entries_added specified in XSETID is smaller than the target stream length"
)
entries_added_negative: Final = _fixed("ERR entries_added must be positive")
entries_read_negative: Final = _fixed("ERR value for ENTRIESREAD must be positive or -1")


def unbalanced_streams(command: str, symbol: str) -> ErrorReply:
    return ErrorReply(
        f"ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{symbol}' must be specified."
    )


def only_in_xreadgroup(option: str) -> ErrorReply:
    return ErrorReply(f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.")


xreadgroup_without_group: Final = _fixed("ERR Missing GROUP option for XREADGROUP")


def meaningless_in_xreadgroup(symbol: str) -> ErrorReply:
    return ErrorReply(
        f"ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the history of this "
        "consumer by specifying a proper ID, or use the > ID to get new messages. "
        f"The {symbol} ID would just return an empty result set."
    )


new_entries_in_xread: Final = _fixed(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)


def no_group_to_read(key: bytes, group: bytes) -> ErrorReply:
    return ErrorReply(f"{no_group(key, group).message} in XREADGROUP with GROUP option")


def no_group(key: bytes, group: bytes) -> ErrorReply:
    return ErrorReply(f"NOGROUP No such key '{show(key)}' or consumer group '{show(group)}'")


def no_group_of_key(key: bytes, group: bytes) -> ErrorReply:
    return ErrorReply(f"NOGROUP No such consumer group '{show(group)}' for key name '{show(key)}'")


group_exists: Final = _fixed("BUSYGROUP Consumer Group name already exists")
xgroup_without_key: Final = _fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
    "option to create an empty stream automatically."
)


def invalid_min_idle_time(command: str) -> ErrorReply:
    return ErrorReply(f"ERR Invalid min-idle-time argument for {command}")


def xclaim_argument(option: str) -> ErrorReply:
    return ErrorReply(f"ERR Invalid {option} option argument for XCLAIM")


def xclaim_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unrecognized XCLAIM option '{show(option)}'")


xautoclaim_count: Final = _fixed("ERR COUNT must be > 0")
