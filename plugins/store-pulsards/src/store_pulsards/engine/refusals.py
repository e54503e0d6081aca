"""Error texts of what a server administrates: users, scripts and functions, keys that move to another server.

They are part of ``errors.py``, word for word those of Valkey 9, in a file of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from store_pulsards.engine.errors import show
from store_pulsards.engine.replies import ErrorReply


def _fixed(text: str) -> Callable[[], ErrorReply]:
    """The maker of an error whose text is always the same."""
    return lambda: ErrorReply(text)


# Migration

migrate_key_and_keys: Final = _fixed(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)


def target_refused(message: str) -> ErrorReply:
    return ErrorReply(f"ERR Target instance replied with error: {message}")


def target_trouble(doing: str) -> ErrorReply:
    return ErrorReply(f"IOERR error or timeout {doing}")


# ACL


def unknown_category(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown category '{show(name)}'")


password_bits: Final = _fixed(
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096"
)


def user_not_found(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR User '{show(name)}' not found")


def command_not_found(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Command '{show(name)}' not found")


default_user_stays: Final = _fixed("ERR The 'default' user cannot be removed")
no_acl_file: Final = _fixed(
    "ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command "
    "and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in the "
    "configuration."
)


# Scripts and functions

no_script: Final = _fixed("NOSCRIPT No matching script.")
no_script_runs: Final = _fixed("NOTBUSY No scripts in execution right now.")
script_flush_mode: Final = _fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
script_debug_mode: Final = _fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO")
numkeys_negative: Final = _fixed("ERR Number of keys can't be negative")
invalid_shebang: Final = _fixed("ERR Invalid script shebang")
function_not_found: Final = _fixed("ERR Function not found")
library_not_found: Final = _fixed("ERR Library not found")
no_library_name: Final = _fixed("ERR library name argument was not given")
no_library_metadata: Final = _fixed("ERR Missing library metadata")
invalid_library_metadata: Final = _fixed("ERR Invalid library metadata")
library_without_name: Final = _fixed("ERR Library name was not given")
function_restore_policy: Final = _fixed(
    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
)


def unknown_argument(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown argument {show(name)}")


def no_scripting_engine(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Could not find scripting engine '{show(name)}'")


def no_engine_to_debug(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR No scripting engine found with name '{show(name)}' to enable debug")


def no_function_engine(name: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Engine '{show(name)}' not found")


def unknown_function_option(option: bytes) -> ErrorReply:
    return ErrorReply(f"ERR Unknown option given: {show(option)}")
