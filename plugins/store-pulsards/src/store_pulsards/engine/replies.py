"""Reply values, and every error text.

A handler returns plain Python values wherever RESP has a plain type: ``bytes`` (bulk string), ``int``, ``None``
(null), ``float``, ``bool``, ``list``, ``dict``. The few types here say what plain values cannot: a simple string, a
shape that differs between RESP2 and RESP3, a reply that comes later. The protocol module turns them into bytes; an
embedded caller gets them as they are.

Error texts are those of Valkey 9, word for word; no other file of the engine spells one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

Reply: TypeAlias = Any


class Status(bytes):
    """A simple string (``+OK``); an embedded caller sees ordinary ``bytes``."""


class SetReply(list[Any]):
    """Members of a set: RESP3 ``~``, RESP2 an array."""


class Pairs(list[Any]):
    """(member, score) or (field, value) tuples: RESP3 an array of two-element arrays, RESP2 flat."""


class Keyed(list[Any]):
    """(key, value) tuples: RESP3 a map, in which a key may come twice; RESP2 an array of two-element arrays."""


class Push(list[Any]):
    """A message that nobody asked for (pub/sub): RESP3 ``>``, RESP2 an array."""


class Many(list[Any]):
    """Several replies of one command, one after another (``SUBSCRIBE a b``)."""


class Verbatim(bytes):
    """Text for people (``INFO``): RESP3 ``=txt:``, RESP2 a bulk string."""


class Coordinate(float):
    """A number with up to 17 digits after the point, none of them a trailing zero: RESP3 ``,``, RESP2 a bulk string."""


class Sentinel:
    """A reply with no content of its own."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NULL_ARRAY: Final = Sentinel("NULL_ARRAY")  # RESP2 *-1, RESP3 _
BLOCKED: Final = Sentinel("BLOCKED")  # the reply comes through session.deliver
NO_REPLY: Final = Sentinel("NO_REPLY")  # CLIENT REPLY OFF, and replies that went out as pushes

OK: Final = Status(b"OK")
PONG: Final = Status(b"PONG")
QUEUED: Final = Status(b"QUEUED")


class ErrorReply(Exception):
    """An error of a command: raised in a handler, returned as a value by ``Engine.execute``.

    ``message`` is the whole text, its first word the code (``WRONGTYPE …``).
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def answer(self, args: Sequence[bytes]) -> ErrorReply:
        """What the client gets who sent these arguments."""
        return self.with_traceback(None)


class WrongSubcommand(ErrorReply):
    """A subcommand's arguments make no sense; the error has the subcommand as the client wrote it."""

    def answer(self, args: Sequence[bytes]) -> ErrorReply:
        return ErrorReply(
            f"ERR unknown subcommand or wrong number of arguments for '{show(args[1][:128])}'. Try {self.message} HELP."
        )


def wrong_type() -> ErrorReply:
    return ErrorReply("WRONGTYPE Operation against a key holding the wrong kind of value")


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


def no_auth() -> ErrorReply:
    return ErrorReply("NOAUTH Authentication required.")


def not_while_subscribed(name: str) -> ErrorReply:
    return ErrorReply(
        f"ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context"
    )


def not_in_transaction(name: str) -> ErrorReply:
    return ErrorReply(f"ERR Command '{name}' not allowed inside a transaction")


# Arguments


def syntax_error() -> ErrorReply:
    return ErrorReply("ERR syntax error")


def not_an_integer() -> ErrorReply:
    return ErrorReply("ERR value is not an integer or out of range")


def not_a_float() -> ErrorReply:
    return ErrorReply("ERR value is not a valid float")


def show(text: bytes) -> str:
    """Bytes of a client inside an error text: as they are, but on one line."""
    return text.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")


def timeout_not_a_float() -> ErrorReply:
    return ErrorReply("ERR timeout is not a float or out of range")


def timeout_not_an_integer() -> ErrorReply:
    return ErrorReply("ERR timeout is not an integer or out of range")


def timeout_out_of_range() -> ErrorReply:
    return ErrorReply("ERR timeout is out of range")


def timeout_negative() -> ErrorReply:
    return ErrorReply("ERR timeout is negative")


def not_an_integer_here(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} is not an integer or out of range")


def invalid_cursor() -> ErrorReply:
    return ErrorReply("ERR invalid cursor")


def invalid_numkeys() -> ErrorReply:
    return ErrorReply("ERR invalid numkeys value or out of range")


def not_positive(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} should be greater than 0")


# Connections and clients


def no_password_set() -> ErrorReply:
    return ErrorReply(
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?"
    )


def wrong_password() -> ErrorReply:
    return ErrorReply("WRONGPASS invalid username-password pair or user is disabled.")


def hello_needs_auth() -> ErrorReply:
    return ErrorReply(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
        "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same "
        "time"
    )


def unsupported_protocol() -> ErrorReply:
    return ErrorReply("NOPROTO unsupported protocol version")


def hello_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Syntax error in HELLO option '{show(option)}'")


def special_characters(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} cannot contain spaces, newlines or special characters.")


def database_out_of_range() -> ErrorReply:
    return ErrorReply("ERR DB index is out of range")


def unrecognized_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unrecognized option '{show(option)}'")


def unknown_client_type(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown client type '{show(name)}'")


def no_such_client() -> ErrorReply:
    return ErrorReply("ERR No such client")


def no_such_user(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR No such user '{show(name)}'")


def client_id_too_small() -> ErrorReply:
    return ErrorReply("ERR client-id should be greater than 0")


def unblock_reason() -> ErrorReply:
    return ErrorReply("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")


def unblocked() -> ErrorReply:
    return ErrorReply("UNBLOCKED client unblocked via CLIENT UNBLOCK")


def pause_mode() -> ErrorReply:
    return ErrorReply("ERR CLIENT PAUSE mode must be WRITE or ALL")


def client_database(last: int) -> ErrorReply:
    return ErrorReply(f"ERR DB number should be between 0 and {last}")


# Configuration and introspection


def config_unknown(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown option or number of arguments for CONFIG SET - '{show(name)}'")


def config_failed(name: bytes, reason: str) -> ErrorReply:
    return ErrorReply(f"ERR CONFIG SET failed (possibly related to argument '{show(name)}') - {reason}")


def invalid_command() -> ErrorReply:
    return ErrorReply("ERR Invalid command specified")


def no_key_arguments() -> ErrorReply:
    return ErrorReply("ERR The command has no key arguments")


def invalid_argument_count() -> ErrorReply:
    return ErrorReply("ERR Invalid number of arguments specified for command")


def invalid_arguments() -> ErrorReply:
    return ErrorReply("ERR Invalid arguments specified for command")


def invalid_database(which: str) -> ErrorReply:
    return ErrorReply(f"ERR invalid {which} DB index")


def no_frequency() -> ErrorReply:
    return ErrorReply(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
        "between policies at runtime LRU and LFU data will take some time to adjust."
    )


# Keys


def no_such_key() -> ErrorReply:
    return ErrorReply("ERR no such key")


def same_object() -> ErrorReply:
    return ErrorReply("ERR source and destination objects are the same")


def invalid_expire(command: str) -> ErrorReply:
    return ErrorReply(f"ERR invalid expire time in '{command}' command")


def expire_nx_with_others() -> ErrorReply:
    return ErrorReply("ERR NX and XX, GT or LT options at the same time are not compatible")


def expire_gt_with_lt() -> ErrorReply:
    return ErrorReply("ERR GT and LT options at the same time are not compatible")


def unsupported_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unsupported option {show(option)}")


def unknown_type(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR unknown type name '{show(name)}'")


def busy_key() -> ErrorReply:
    return ErrorReply("BUSYKEY Target key name already exists.")


def negative_ttl() -> ErrorReply:
    return ErrorReply("ERR Invalid TTL value, must be >= 0")


def invalid_idle_time() -> ErrorReply:
    return ErrorReply("ERR Invalid IDLETIME value, must be >= 0")


def invalid_frequency() -> ErrorReply:
    return ErrorReply("ERR Invalid FREQ value, must be >= 0 and <= 255")


def bad_payload() -> ErrorReply:
    return ErrorReply("ERR DUMP payload version or checksum are wrong")


def bad_data_format() -> ErrorReply:
    return ErrorReply("ERR Bad data format")


def sort_score() -> ErrorReply:
    return ErrorReply("ERR One or more scores can't be converted into double")


# Strings


def overflow() -> ErrorReply:
    return ErrorReply("ERR increment or decrement would overflow")


def decrement_overflow() -> ErrorReply:
    return ErrorReply("ERR decrement would overflow")


def not_finite() -> ErrorReply:
    return ErrorReply("ERR increment would produce NaN or Infinity")


def offset_out_of_range() -> ErrorReply:
    return ErrorReply("ERR offset is out of range")


def string_too_long() -> ErrorReply:
    return ErrorReply("ERR string exceeds maximum allowed size (proto-max-bulk-len)")


def bit_offset() -> ErrorReply:
    return ErrorReply("ERR bit offset is not an integer or out of range")


def bit_value() -> ErrorReply:
    return ErrorReply("ERR bit is not an integer or out of range")


def bit_is_not_one() -> ErrorReply:
    return ErrorReply("ERR The bit argument must be 1 or 0.")


def bitop_not() -> ErrorReply:
    return ErrorReply("ERR BITOP NOT must be called with a single source key.")


def bitfield_type() -> ErrorReply:
    return ErrorReply(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
    )


def bitfield_overflow() -> ErrorReply:
    return ErrorReply("ERR Invalid OVERFLOW type specified")


def bitfield_read_only() -> ErrorReply:
    return ErrorReply("ERR BITFIELD_RO only supports the GET subcommand")


def not_a_hyperloglog() -> ErrorReply:
    return ErrorReply("WRONGTYPE Key is not a valid HyperLogLog string value.")


def corrupted_hyperloglog() -> ErrorReply:
    return ErrorReply("INVALIDOBJ Corrupted HLL object detected")


def hyperloglog_not_sparse() -> ErrorReply:
    return ErrorReply("ERR HLL encoding is not sparse")


def key_does_not_exist() -> ErrorReply:
    return ErrorReply("ERR The specified key does not exist")


def unknown_pfdebug(subcommand: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown PFDEBUG subcommand '{show(subcommand)}'")


def on_or_off() -> ErrorReply:
    return ErrorReply("ERR Argument must be ON or OFF")


def selftest_failed(reason: str) -> ErrorReply:
    return ErrorReply(f"TESTFAILED {reason}")


# Geo


def invalid_place(longitude: float, latitude: float) -> ErrorReply:
    return ErrorReply(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")


def unsupported_unit() -> ErrorReply:
    return ErrorReply("ERR unsupported unit provided. please use M, KM, FT, MI")


def need_numeric(what: str) -> Callable[[], ErrorReply]:
    return lambda: ErrorReply(f"ERR need numeric {what}")


def negative_radius() -> ErrorReply:
    return ErrorReply("ERR radius cannot be negative")


def negative_side() -> ErrorReply:
    return ErrorReply("ERR height or width cannot be negative")


def number_of_vertices() -> ErrorReply:
    return ErrorReply("ERR invalid number of vertices")


def too_few_vertices() -> ErrorReply:
    return ErrorReply("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices")


def geo_count() -> ErrorReply:
    return ErrorReply("ERR COUNT must be > 0")


def no_such_member(member: bytes) -> ErrorReply:
    return ErrorReply(f"ERR member {show(member)} does not exist")


def stored_and_shown(what: str) -> ErrorReply:
    return ErrorReply(f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")


def no_centre(command: str) -> ErrorReply:
    return ErrorReply(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {command}")


def no_shape(command: str) -> ErrorReply:
    return ErrorReply(f"ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {command}")


def any_without_count() -> ErrorReply:
    return ErrorReply("ERR the ANY argument requires COUNT argument")


def lcs_types() -> ErrorReply:
    return ErrorReply("ERR The specified keys must contain string values")


def lcs_len_and_idx() -> ErrorReply:
    return ErrorReply("ERR If you want both the length and indexes, please just use IDX.")


# Transactions


def exec_without_multi() -> ErrorReply:
    return ErrorReply("ERR EXEC without MULTI")


def discard_without_multi() -> ErrorReply:
    return ErrorReply("ERR DISCARD without MULTI")


def exec_aborted() -> ErrorReply:
    return ErrorReply("EXECABORT Transaction discarded because of previous errors.")


def aborted_because(error: ErrorReply) -> ErrorReply:
    return ErrorReply(f"EXECABORT Transaction discarded because of: {error.message.removeprefix('ERR ')}")


# Pub/sub


def pubsub_arity(subcommand: str) -> ErrorReply:
    return ErrorReply(f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try PUBSUB HELP.")


# Hashes, lists, sets, sorted sets


def numfields_mismatch() -> ErrorReply:
    return ErrorReply("ERR numfields should be greater than 0 and match the provided number of fields")


def hash_value_not_an_integer() -> ErrorReply:
    return ErrorReply("ERR hash value is not an integer")


def hash_value_not_a_float() -> ErrorReply:
    return ErrorReply("ERR hash value is not a float")


def infinite_increment() -> ErrorReply:
    return ErrorReply("ERR value is NaN or Infinity")


def out_of_range() -> ErrorReply:
    return ErrorReply("ERR value is out of range")


def out_of_symmetric_range() -> ErrorReply:
    return ErrorReply("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")


def must_be_positive() -> ErrorReply:
    return ErrorReply("ERR value is out of range, must be positive")


def not_zero_or_one() -> ErrorReply:
    return ErrorReply("ERR value is out of range, value must between 0 and 1")


def no_append_only_file() -> ErrorReply:
    return ErrorReply("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")


def index_out_of_range() -> ErrorReply:
    return ErrorReply("ERR index out of range")


def rank_is_zero() -> ErrorReply:
    return ErrorReply(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
        "or use negative to start from the end of the list"
    )


def negative_option(option: str) -> ErrorReply:
    return ErrorReply(f"ERR {option} can't be negative")


def numkeys_not_positive() -> ErrorReply:
    return ErrorReply("ERR numkeys should be greater than 0")


def count_not_positive() -> ErrorReply:
    return ErrorReply("ERR count should be greater than 0")


def too_many_keys() -> ErrorReply:
    return ErrorReply("ERR Number of keys can't be greater than number of args")


def no_input_key(command: str) -> ErrorReply:
    return ErrorReply(f"ERR at least 1 input key is needed for '{command}' command")


def bound_not_a_float() -> ErrorReply:
    return ErrorReply("ERR min or max is not a float")


def bound_not_a_string() -> ErrorReply:
    return ErrorReply("ERR min or max not valid string range item")


def weight_not_a_float() -> ErrorReply:
    return ErrorReply("ERR weight value is not a float")


def score_not_a_number() -> ErrorReply:
    return ErrorReply("ERR resulting score is not a number (NaN)")


def zadd_nx_and_xx() -> ErrorReply:
    return ErrorReply("ERR XX and NX options at the same time are not compatible")


def zadd_gt_lt_nx() -> ErrorReply:
    return ErrorReply("ERR GT, LT, and/or NX options at the same time are not compatible")


def zadd_incr_of_several() -> ErrorReply:
    return ErrorReply("ERR INCR option supports a single increment-element pair")


def limit_without_by() -> ErrorReply:
    return ErrorReply("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")


def withscores_with_bylex() -> ErrorReply:
    return ErrorReply("ERR syntax error, WITHSCORES not supported in combination with BYLEX")


def scan_option_of_another(option: str, command: str) -> ErrorReply:
    return ErrorReply(f"ERR {option} option can only be used in {command}")


# Streams


def invalid_stream_id() -> ErrorReply:
    return ErrorReply("ERR Invalid stream ID specified as stream command argument")


def invalid_interval(end: str) -> ErrorReply:
    return ErrorReply(f"ERR invalid {end} ID for the interval")


def xadd_zero() -> ErrorReply:
    return ErrorReply("ERR The ID specified in XADD must be greater than 0-0")


def xadd_too_small() -> ErrorReply:
    return ErrorReply("ERR The ID specified in XADD is equal or smaller than the target stream top item")


def xadd_exhausted() -> ErrorReply:
    return ErrorReply("ERR The stream has exhausted the last possible ID, unable to add more items")


def entry_too_large() -> ErrorReply:
    return ErrorReply("ERR Elements are too large to be stored")


def two_trimmings() -> ErrorReply:
    return ErrorReply("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")


def trimming_negative(option: str) -> ErrorReply:
    return ErrorReply(f"ERR The {option} argument must be >= 0.")


def limit_without_trimming() -> ErrorReply:
    return ErrorReply("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")


def limit_of_exact_trimming() -> ErrorReply:
    return ErrorReply("ERR syntax error, LIMIT cannot be used without the special ~ option")


def xtrim_without_trimming() -> ErrorReply:
    return ErrorReply("ERR syntax error, XTRIM must be called with a trimming strategy")


def xsetid_below_given_deleted() -> ErrorReply:
    return ErrorReply("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")


def xsetid_below_deleted() -> ErrorReply:
    return ErrorReply("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")


def xsetid_below_top() -> ErrorReply:
    return ErrorReply("ERR The ID specified in XSETID is smaller than the target stream top item")


def xsetid_entries_added() -> ErrorReply:
    return ErrorReply("ERR The entries_added specified in XSETID is smaller than the target stream length")


def entries_added_negative() -> ErrorReply:
    return ErrorReply("ERR entries_added must be positive")


def entries_read_negative() -> ErrorReply:
    return ErrorReply("ERR value for ENTRIESREAD must be positive or -1")


def unbalanced_streams(command: str, symbol: str) -> ErrorReply:
    return ErrorReply(
        f"ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{symbol}' must be specified."
    )


def only_in_xreadgroup(option: str) -> ErrorReply:
    return ErrorReply(f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.")


def xreadgroup_without_group() -> ErrorReply:
    return ErrorReply("ERR Missing GROUP option for XREADGROUP")


def meaningless_in_xreadgroup(symbol: str) -> ErrorReply:
    return ErrorReply(
        f"ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the history of this "
        "consumer by specifying a proper ID, or use the > ID to get new messages. "
        f"The {symbol} ID would just return an empty result set."
    )


def new_entries_in_xread() -> ErrorReply:
    return ErrorReply(
        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
    )


def no_group_to_read(key: bytes, group: bytes) -> ErrorReply:
    return ErrorReply(f"{no_group(key, group).message} in XREADGROUP with GROUP option")


def no_group(key: bytes, group: bytes) -> ErrorReply:
    return ErrorReply(f"NOGROUP No such key '{show(key)}' or consumer group '{show(group)}'")


def no_group_of_key(key: bytes, group: bytes) -> ErrorReply:
    return ErrorReply(f"NOGROUP No such consumer group '{show(group)}' for key name '{show(key)}'")


def group_exists() -> ErrorReply:
    return ErrorReply("BUSYGROUP Consumer Group name already exists")


def xgroup_without_key() -> ErrorReply:
    return ErrorReply(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
        "option to create an empty stream automatically."
    )


def invalid_min_idle_time(command: str) -> ErrorReply:
    return ErrorReply(f"ERR Invalid min-idle-time argument for {command}")


def xclaim_argument(option: str) -> ErrorReply:
    return ErrorReply(f"ERR Invalid {option} option argument for XCLAIM")


def xclaim_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unrecognized XCLAIM option '{show(option)}'")


def xautoclaim_count() -> ErrorReply:
    return ErrorReply("ERR COUNT must be > 0")
