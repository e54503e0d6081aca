"""ACL, as far as there is something to tell: one user, ``default``, who may do everything.

There are no rules. The user has a password when ``requirepass`` is set; nothing else about it can be changed, and no
other user can be made (``absent.py`` refuses it).
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_bytes
from typing import Final

from store_pulsards.engine import args, errors, refusals, table
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import OK, Reply, SetReply
from store_pulsards.engine.table import ADMIN, LOADING, NOSCRIPT, STALE, family

command = family("server")
command.container("ACL", "A container for Access List Control commands.", since="6.0.0")

ABOUT_ONESELF = NOSCRIPT | LOADING | STALE
ADMINISTRATION = ADMIN | ABOUT_ONESELF
EVERY_NODE = ("request_policy:all_nodes", "response_policy:all_succeeded")

CATEGORIES: Final = (
    *("keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo"),
    *("stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting"),
)
USUAL_BITS: Final = 256
MOST_BITS: Final = 4096
USUAL_COUNT: Final = 10


@command("ACL|WHOAMI", arity=2, flags=ABOUT_ONESELF, since="6.0.0")
def whoami(ctx: Context) -> Reply:
    """Returns the authenticated username of the current connection."""
    return b"default"


@command("ACL|USERS", arity=2, flags=ADMINISTRATION, since="6.0.0")
def users(ctx: Context) -> Reply:
    """Lists all ACL users."""
    return [b"default"]


@command("ACL|LIST", arity=2, flags=ADMINISTRATION, since="6.0.0")
def list_(ctx: Context) -> Reply:
    """Dumps the effective rules in ACL file format."""
    password = b"".join(b"#" + digest for digest in _passwords(ctx)) or b"nopass"
    return [b"user default on %b ~* &* +@all" % password]


@command("ACL|GETUSER", arity=3, flags=ADMINISTRATION, since="6.0.0")
def getuser(ctx: Context, name: bytes) -> Reply:
    """Lists the ACL rules of a user."""
    if name != b"default":
        return None
    passwords = _passwords(ctx)
    return {
        b"flags": SetReply([b"on"] if passwords else [b"on", b"nopass"]),
        b"passwords": passwords,
        b"commands": b"+@all",
        b"keys": b"~*",
        b"channels": b"&*",
        b"databases": b"alldbs",
        b"selectors": [],
    }


def _passwords(ctx: Context) -> list[bytes]:
    """What ACL shows of the password: its digest."""
    password = ctx.engine.config.password
    return [sha256(password).hexdigest().encode()] if password else []


@command("ACL|CAT", arity=-2, flags=ABOUT_ONESELF, since="6.0.0")
def cat(ctx: Context, *category: bytes) -> Reply:
    """Lists the ACL categories, or the commands inside a category."""
    if not category:
        return [name.encode() for name in CATEGORIES]
    if len(category) > 1:
        raise errors.WrongSubcommand("ACL")
    wanted = category[0].decode("utf-8", "replace").lower()
    if wanted not in CATEGORIES:
        raise refusals.unknown_category(category[0])
    specs = [each for spec in table.every() for each in (spec, *spec.parts)]
    return [spec.name.encode() for spec in specs if wanted in spec.acl]


@command("ACL|GENPASS", arity=-2, flags=ABOUT_ONESELF, since="6.0.0")
def genpass(ctx: Context, *bits: bytes) -> Reply:
    """Generates a pseudorandom, secure password that can be used to identify ACL users."""
    if len(bits) > 1:
        raise errors.WrongSubcommand("ACL")
    number = args.integer(bits[0]) if bits else USUAL_BITS
    if not 0 < number <= MOST_BITS:
        raise refusals.password_bits()
    digits = (number + 3) // 4
    return token_bytes(digits).hex()[:digits].encode()


@command("ACL|DRYRUN", arity=-4, flags=ADMINISTRATION, since="7.0.0")
def dryrun(ctx: Context, user: bytes, *words: bytes) -> Reply:
    """Simulates the execution of a command by a user, without executing the command."""
    if user != b"default":
        raise refusals.user_not_found(user)
    spec = table.resolve(words)
    if spec is None:
        raise refusals.command_not_found(words[0])
    if not spec.accepts(len(words)):
        raise errors.wrong_arity(spec.name)
    return OK


@command("ACL|DELUSER", arity=-3, flags=ADMINISTRATION, since="6.0.0", tips=EVERY_NODE)
def deluser(ctx: Context, *names: bytes) -> Reply:
    """Deletes ACL users, and terminates their connections."""
    if b"default" in names:
        raise refusals.default_user_stays()
    return 0


@command("ACL|LOAD", arity=2, flags=ADMINISTRATION, since="6.0.0")
def load(ctx: Context) -> Reply:
    """Reloads the rules from the configured ACL file."""
    raise refusals.no_acl_file()


@command("ACL|SAVE", arity=2, flags=ADMINISTRATION, since="6.0.0", tips=EVERY_NODE)
def save(ctx: Context) -> Reply:
    """Saves the effective ACL rules in the configured ACL file."""
    raise refusals.no_acl_file()


@command("ACL|LOG", arity=-2, flags=ADMINISTRATION, since="6.0.0")
def log(ctx: Context, *option: bytes) -> Reply:
    """Lists recent security events generated due to ACL rules."""
    if len(option) > 1:
        raise errors.WrongSubcommand("ACL")
    entries = ctx.engine.acl_log.entries
    if option and option[0].upper() == b"RESET":
        entries.clear()
        return OK
    count = max(0, args.integer(option[0])) if option else USUAL_COUNT
    now = ctx.now
    return [entry.shown(now) for entry in list(entries)[:count]]
