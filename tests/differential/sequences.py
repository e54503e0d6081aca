"""Sequences of commands from a seed, and the shortest part of one that still shows a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.differential.arena import Arena, Difference
from tests.differential.commands import Step, draw

STEPS = 150


@dataclass(frozen=True)
class Script:
    """Steps, and the clients that run them."""

    protocols: tuple[int, int]
    events: bool
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([f"protocols {self.protocols}, events {self.events}", *map(str, self.steps)])


def from_seed(seed: int, steps: int = STEPS) -> Script:
    """The script of a seed, always the same."""
    chance = Random(seed)
    protocols = chance.choice([(2, 3), (3, 2), (2, 2), (3, 3)])
    return Script(protocols, chance.random() < 0.4, tuple(draw(chance) for _ in range(steps)))


def difference(arena: Arena, script: Script) -> Difference | None:
    """What the servers do not agree about."""
    arena.begin(script.protocols, script.events)
    try:
        for step in script.steps:
            arena.run(step)
        arena.end()
    except Difference as found:
        return found
    return None


def shortest(arena: Arena, script: Script) -> Script:
    """The script without all that the difference does not need (ddmin)."""
    steps, size = list(script.steps), max(1, len(script.steps) // 2)
    while True:
        at, shorter = 0, False
        while at < len(steps):
            rest = steps[:at] + steps[at + size :]
            if difference(arena, replace(script, steps=tuple(rest))) is not None:
                steps, shorter = rest, True
            else:
                at += size
        if size == 1 and not shorter:
            return replace(script, steps=tuple(steps))
        size = max(1, size // 2)


def explain(arena: Arena, seed: int, script: Script) -> str:
    """A difference, told with as few commands as it takes."""
    least = shortest(arena, script)
    return f"seed {seed}\n{least}\n=> {difference(arena, least)}"


def differences(arena: Arena, seeds: Sequence[int]) -> list[str]:
    """What is found by the scripts of these seeds."""
    found = []
    for seed in seeds:
        script = from_seed(seed)
        if difference(arena, script) is not None:
            found.append(explain(arena, seed, script))
    return found
