"""Each backend that is broken on purpose is caught by the test that is meant to catch it; the reference passes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import store_core.testing
from store_core.testing import StoreTests

sys.path.insert(0, str(Path(__file__).parent))

from mutations import MUTATIONS, Mutation

#: Sections whose mutations need a server: tests/conformance has them.
ON_A_NETWORK = {"NetworkFailureTests", "StartTests"}

PROGRAM = """
import pytest
from mutations import {kind}
from store_core import register_store
from store_core.testing import {section}

register_store("{scheme}", {kind})

class {suite}({section}):
    patience = 1.0

    @pytest.fixture
    def store_url(self):
        return "{scheme}://"
"""

REFERENCE = """
import pytest
from reference import ReferenceStore
from store_core import register_store
from store_core.testing import StoreTests

register_store("reference", ReferenceStore)

class TestReference(StoreTests):
    @pytest.fixture
    def store_url(self):
        return "reference://"
"""


def program(mutation: Mutation) -> str:
    scheme = mutation.kind.__name__.lower()
    return PROGRAM.format(kind=mutation.kind.__name__, section=mutation.section, suite=mutation.suite, scheme=scheme)


@pytest.fixture(scope="session")
def caught(kit) -> dict[str, set[str]]:
    """Test class to the tests that failed, of one run with every mutation."""
    data, output, status = kit("".join(map(program, MUTATIONS)))
    assert status == 1, output
    return {
        result["suite"]: {test for section in result["sections"].values() for test in section["failed"]}
        for result in data["stores"]
    }


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.kind.__name__)
def test_a_broken_backend_is_caught_by_the_test_meant_for_it(caught: dict[str, set[str]], mutation: Mutation) -> None:
    assert mutation.test in caught[mutation.suite]


def test_every_section_has_a_mutation() -> None:
    sections = {kind.__name__ for kind in StoreTests.__bases__}
    assert sections == {mutation.section for mutation in MUTATIONS} | ON_A_NETWORK
    assert sections <= set(store_core.testing.__all__)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_the_reference_passes_in_both_modes_of_pytest_asyncio(kit, mode: str) -> None:
    data, output, status = kit(REFERENCE, mode=mode)
    assert status == 0, output
    (result,) = data["stores"]
    assert {name: section["failed"] for name, section in result["sections"].items() if section["failed"]} == {}
    reasons = skipped(result)
    assert reasons == {
        "the store has no TCP address",
        "the connection string has no secret",
        "reference does not declare start",
    }


def skipped(result: dict[str, Any]) -> set[str]:
    return {reason for section in result["sections"].values() for reason in section["skipped"].values()}
