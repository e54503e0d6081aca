"""Random commands of all families have the same outcome on pulsards and on a real Valkey.

Two clients share few keys; MULTI, WATCH, subscriptions and blocking commands are among them. A seeded generator is
fast, and tells a difference with the fewest commands that show it; STORE_LONG=1 has it run 150,000 commands, from the
seed STORE_SEED on. Hypothesis finds its own way, and shrinks each command as well.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.differential.arena import Arena
from tests.differential.commands import WEIGHTS, draw
from tests.differential.sequences import STEPS, differences

pytestmark = pytest.mark.timeout(3600)

LONG = os.environ.get("STORE_LONG") == "1"
FIRST_SEED = int(os.environ.get("STORE_SEED", "0"))
COMMANDS = 150_000 if LONG else 3_000
EXAMPLES = 500 if LONG else 15

CHANCE = st.randoms(use_true_random=False)
PROTOCOLS = st.sampled_from([2, 3])


def test_random_commands_have_the_same_outcome_on_valkey(arena: Arena) -> None:
    seed = FIRST_SEED
    while arena.commands < COMMANDS:
        assert not (found := differences(arena, [seed])), found[0]
        seed += 1
    print(f"{arena.commands} commands, seeds {FIRST_SEED} to {seed - 1}")  # noqa: T201 - of a long run


class Conversation(RuleBasedStateMachine):
    """Steps of any family, one after another."""

    arena: ClassVar[Arena]

    @initialize(one=PROTOCOLS, other=PROTOCOLS, events=st.booleans())
    def begin(self, one: int, other: int, events: bool) -> None:
        self.arena.begin((one, other), events)

    def step(self, family: str, chance: Random) -> None:
        self.arena.run(draw(chance, family))

    def teardown(self) -> None:
        if self.arena.states:
            self.arena.end()


def _rule(family: str) -> Any:
    def step(self: Conversation, chance: Random) -> None:
        self.step(family, chance)

    step.__name__ = family.replace(" ", "_")
    return rule(chance=CHANCE)(step)


for name in WEIGHTS:
    setattr(Conversation, name.replace(" ", "_"), _rule(name))


def test_conversations_that_hypothesis_makes_up_have_the_same_outcome_on_valkey(arena: Arena) -> None:
    class Here(Conversation):
        pass

    Here.arena = arena
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS if LONG else 30,
            derandomize=not LONG,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
