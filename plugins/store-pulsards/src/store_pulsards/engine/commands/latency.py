"""LATENCY: spikes of the events that ``latency-monitor-threshold`` catches, and how long each command takes."""

from __future__ import annotations

from store_pulsards.engine import errors, table
from store_pulsards.engine.context import Context
from store_pulsards.engine.latency import Spikes
from store_pulsards.engine.replies import Reply, Verbatim
from store_pulsards.engine.table import ADMIN, LOADING, NOSCRIPT, STALE, family

command = family("server")
command.container("LATENCY", "A container for latency diagnostics commands.", since="2.8.13")

ADMINISTRATION = ADMIN | NOSCRIPT | LOADING | STALE
READ = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")
COLUMNS = 80

DISABLED = (
    "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Valkey instance. You may use "
    '"CONFIG SET latency-monitor-threshold <milliseconds>." in order to enable it.\n'
)
QUIET = "No latency spike was observed during the lifetime of this Valkey instance, not in the slightest bit.\n"
ADVICE = (
    "\nHere is some advice for you:\n\n"
    "- Check your Slow Log to understand what are the commands you are running which are too slow to execute.\n"
)


@command("LATENCY|LATEST", arity=2, flags=ADMINISTRATION, since="2.8.13", tips=READ)
def latest(ctx: Context) -> Reply:
    """Returns the latest latency samples for all events."""
    events = ctx.engine.observation.events
    return [
        [event, *spikes.samples[-1], spikes.longest, spikes.total, spikes.count] for event, spikes in events.items()
    ]


@command("LATENCY|HISTORY", arity=3, flags=ADMINISTRATION, since="2.8.13", tips=READ)
def history(ctx: Context, event: bytes) -> Reply:
    """Returns timestamp-latency samples for an event."""
    spikes = ctx.engine.observation.events.get(event)
    return [] if spikes is None else [list(sample) for sample in spikes.samples]


@command(
    "LATENCY|RESET",
    arity=-2,
    flags=ADMINISTRATION,
    since="2.8.13",
    tips=("request_policy:all_nodes", "response_policy:agg_sum"),
)
def reset(ctx: Context, *events: bytes) -> Reply:
    """Resets the latency data for one or more events."""
    known = ctx.engine.observation.events
    gone = [name for name in known if not events or name in {event.lower() for event in events}]
    for name in gone:
        del known[name]
    return len(gone)


@command("LATENCY|GRAPH", arity=3, flags=ADMINISTRATION, since="2.8.13", tips=READ)
def graph(ctx: Context, event: bytes) -> Reply:
    """Returns a latency graph for an event."""
    spikes = ctx.engine.observation.events.get(event)
    if spikes is None:
        raise errors.no_samples(event)
    lengths = [length for _, length in spikes.samples]
    head = f"{event.decode()} - high {max(lengths)} ms, low {min(lengths)} ms (all time high {spikes.longest} ms)\n"
    return Verbatim(f"{head}{'-' * COLUMNS}\n{_bars(lengths[-COLUMNS:])}".encode())


def _bars(lengths: list[int]) -> str:
    """Four lines in which each sample is a column, as high as it is long."""
    low, high = min(lengths), max(lengths)
    heights = [1 + round(3 * (length - low) / max(1, high - low)) for length in lengths]
    rows = ["".join("#" if height >= level else " " for height in heights).rstrip() for level in (4, 3, 2, 1)]
    return "\n".join(rows) + "\n"


@command("LATENCY|DOCTOR", arity=2, flags=ADMINISTRATION, since="2.8.13", tips=READ)
def doctor(ctx: Context) -> Reply:
    """Returns a human-readable latency analysis report."""
    events = ctx.engine.observation.events
    if not events:
        return Verbatim((QUIET if ctx.engine.config.number(b"latency-monitor-threshold") else DISABLED).encode())
    lines = [_report(ctx, number, name, spikes) for number, (name, spikes) in enumerate(events.items(), 1)]
    return Verbatim(("Latency spikes are observed in this Valkey instance.\n\n" + "".join(lines) + ADVICE).encode())


def _report(ctx: Context, number: int, name: bytes, spikes: Spikes) -> str:
    lengths = [length for _, length in spikes.samples]
    average = sum(lengths) // len(lengths)
    deviation = sum(abs(average - length) for length in lengths) // len(lengths)
    period = max(1, int(ctx.keyspace.clock()) - spikes.samples[0][0]) / len(lengths)
    return (
        f"{number}. {name.decode()}: {len(lengths)} latency spikes (average {average}ms, mean deviation {deviation}ms, "
        f"period {period:.2f} sec). Worst all time event {spikes.longest}ms.\n"
    )


@command("LATENCY|HISTOGRAM", arity=-2, flags=ADMINISTRATION, since="7.0.0", tips=READ)
def histogram(ctx: Context, *names: bytes) -> Reply:
    """Returns the cumulative distribution of latencies of a subset or all commands."""
    found = ctx.engine.observation.distributions
    wanted = [each for name in names for each in _with_subcommands(name)] if names else list(found)
    return {
        name.encode(): {b"calls": found[name].calls, b"histogram_usec": found[name].cumulative()}
        for name in wanted
        if name in found and found[name].calls
    }


def _with_subcommands(name: bytes) -> list[str]:
    container, _, subcommand = name.partition(b"|")
    spec = table.find(container)
    if spec is None:
        return []
    if subcommand:
        return [f"{spec.name}|{subcommand.decode('utf-8', 'replace').lower()}"]
    return [spec.name, *[each.name for each in spec.subcommands.values()]]
