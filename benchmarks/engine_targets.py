"""What store-pulsards sets itself: bounds on the figures of its engine, served and embedded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import connected
import embedded
import expiring
import fanout
import idle
import memory
import redis_benchmark
from engine_servers import COMPILED, PURE, VALKEY
from targets import Target

FORMS = (PURE, COMPILED)


def _server() -> Iterator[Target]:
    bounds = {PURE: (0.9, 0.6), COMPILED: (1.0, 1.0)}
    for form, factors in bounds.items():
        for pipeline, factor in zip(redis_benchmark.PIPELINES, factors, strict=True):
            yield Target(redis_benchmark.panel(pipeline), redis_benchmark.MEAN, form, VALKEY, factor)


def _embedded() -> Iterator[Target]:
    for name in (embedded.STORE, embedded.compiled(embedded.STORE)):
        for case in embedded.CASES:
            yield Target(embedded.PANEL, case, name, embedded.BURNER, 1)
            yield Target(embedded.PANEL, case, name, embedded.FAKE, 40)
            yield Target(embedded.PANEL, case, name, "", 1000)


def _idle() -> Iterator[Target]:
    for form in FORMS:
        yield Target(idle.PANEL, idle.SERVER, form, "", 0, at_most=True)
    for name in (embedded.STORE, embedded.compiled(embedded.STORE)):
        yield Target(idle.PANEL, idle.STORE, name, "", 0, at_most=True)


def _connected() -> Iterator[Target]:
    cases = {
        connected.CONNECT: "each",
        connected.MEMORY: "each",
        connected.BUSY: connected.BESIDE,
        **fanout.CASES,
    }
    for panel, case in cases.items():
        for form in FORMS:
            yield Target(panel, case, form, "")


TARGETS: Sequence[Target] = (
    *_server(),
    *_embedded(),
    *(Target(memory.MEMORY, memory.case(1), form, VALKEY, 3, at_most=True) for form in FORMS),
    *(Target(memory.FLAT, f"{name}, {memory.OVER}", PURE, "") for name in ("SET", "GET")),
    Target(memory.WAIT, memory.ALL, PURE, "", 100, at_most=True),
    *(Target(expiring.PANEL, expiring.WAIT, form, "", 5, at_most=True) for form in FORMS),
    *_idle(),
    *_connected(),
)
