"""CLIENT TRACKING and what belongs to it: which client is told when what it read has changed."""

from __future__ import annotations

from collections.abc import Sequence

from store_pulsards.engine import args, errors
from store_pulsards.engine.commands.clients import ABOUT_ONESELF
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import OK, Reply, SetReply
from store_pulsards.engine.table import LOADING, NOSCRIPT, STALE, family
from store_pulsards.engine.tracking import Tracked

command = family("connection")


@command("CLIENT|TRACKING", arity=-3, flags=NOSCRIPT | LOADING | STALE, since="6.0.0")
def tracking(ctx: Context, switch: bytes, *options: bytes) -> Reply:
    """Controls server-assisted client-side caching for the connection."""
    wanted = _parse(ctx, options)
    if switch.upper() == b"OFF":
        ctx.engine.end_tracking(ctx.session)
        return OK
    if switch.upper() != b"ON":
        raise errors.syntax_error()
    _check(wanted)
    before = ctx.session.tracked
    if before is not None:
        _check_change(before, wanted)
        _check_prefixes(before.prefixes, tuple(wanted.prefixes))
    _check_prefixes((), tuple(wanted.prefixes))
    if wanted.broadcast:
        known = before.prefixes if before is not None else {}
        wanted.prefixes = known | (wanted.prefixes or {b"": None}) if not known or wanted.prefixes else known
    ctx.engine.begin_tracking(ctx.session, wanted)
    return OK


def _parse(ctx: Context, options: Sequence[bytes]) -> Tracked:
    wanted = Tracked()
    left = list(options)
    while left:
        option = left.pop(0).upper()
        if option == b"REDIRECT" and left:
            if wanted.redirect:
                raise errors.one_redirect()
            wanted.redirect = args.integer(left.pop(0))
            if wanted.redirect not in ctx.engine.sessions:
                raise errors.no_redirect_target()
        elif option == b"PREFIX" and left:
            wanted.prefixes[left.pop(0)] = None
        elif option == b"BCAST":
            wanted.broadcast = True
        elif option == b"OPTIN":
            wanted.optin = True
        elif option == b"OPTOUT":
            wanted.optout = True
        elif option == b"NOLOOP":
            wanted.noloop = True
        else:
            raise errors.syntax_error()
    return wanted


def _check(wanted: Tracked) -> None:
    if wanted.prefixes and not wanted.broadcast:
        raise errors.prefix_without_bcast()
    if wanted.broadcast and (wanted.optin or wanted.optout):
        raise errors.bcast_with_options()
    if wanted.optin and wanted.optout:
        raise errors.optin_and_optout()


def _check_change(before: Tracked, wanted: Tracked) -> None:
    if before.broadcast != wanted.broadcast:
        raise errors.tracking_mode("BCAST mode on/off")
    if (wanted.optin and before.optout) or (wanted.optout and before.optin):
        raise errors.tracking_mode("OPTIN/OPTOUT mode")


def _check_prefixes(existing: Sequence[bytes] | dict[bytes, None], wanted: Sequence[bytes]) -> None:
    for index, prefix in enumerate(wanted):
        for other in existing:
            if prefix != other and (prefix.startswith(other) or other.startswith(prefix)):
                raise errors.prefix_overlaps(prefix, other, "an existing")
        for other in wanted[index + 1 :] if not existing else ():
            if prefix.startswith(other) or other.startswith(prefix):
                raise errors.prefix_overlaps(prefix, other, "another provided")


@command("CLIENT|CACHING", arity=3, flags=ABOUT_ONESELF, since="6.0.0")
def caching(ctx: Context, switch: bytes) -> Reply:
    """Instructs the server whether to track the keys in the next request."""
    tracked = ctx.session.tracked
    if tracked is None:
        raise errors.caching_without_tracking()
    wanted = switch.upper()
    if wanted == b"YES":
        if not tracked.optin:
            raise errors.caching_mode("YES", "OPTIN")
    elif wanted == b"NO":
        if not tracked.optout:
            raise errors.caching_mode("NO", "OPTOUT")
    else:
        raise errors.syntax_error()
    tracked.caching = True
    ctx.session.regate()
    return OK


@command("CLIENT|GETREDIR", arity=2, flags=ABOUT_ONESELF, since="6.0.0")
def getredir(ctx: Context) -> Reply:
    """Returns the client ID to which the connection's tracking notifications are redirected."""
    tracked = ctx.session.tracked
    return -1 if tracked is None else tracked.redirect


@command("CLIENT|TRACKINGINFO", arity=2, flags=NOSCRIPT | LOADING | STALE, since="6.2.0")
def trackinginfo(ctx: Context) -> Reply:
    """Returns information about server-assisted client-side caching for the connection."""
    tracked = ctx.session.tracked
    flags = [b"off"] if tracked is None else _flags(tracked)
    return {
        b"flags": SetReply(flags),
        b"redirect": -1 if tracked is None else tracked.redirect,
        b"prefixes": [] if tracked is None else sorted(tracked.prefixes),
    }


def _flags(tracked: Tracked) -> list[bytes]:
    told = {
        b"on": True,
        b"bcast": tracked.broadcast,
        b"optin": tracked.optin,
        b"caching-yes": tracked.optin and tracked.caching,
        b"optout": tracked.optout,
        b"caching-no": tracked.optout and tracked.caching,
        b"noloop": tracked.noloop,
        b"broken_redirect": tracked.broken,
    }
    return [flag for flag, applies in told.items() if applies]


@command("CLIENT|CAPA", arity=-3, flags=ABOUT_ONESELF, since="8.0.0")
def capa(ctx: Context, *capabilities: bytes) -> Reply:
    """A client claims its capability."""
    if any(capability.lower() == b"redirect" for capability in capabilities):
        ctx.session.capabilities = b"r"  # the only one there is; it concerns replicas
    return OK


@command("CLIENT|IMPORT-SOURCE", arity=3, flags=NOSCRIPT | LOADING | STALE, since="8.1.0")
def import_source(ctx: Context, switch: bytes) -> Reply:
    """Marks this client as an import source when the server is in import mode."""
    raise errors.no_import_mode()
