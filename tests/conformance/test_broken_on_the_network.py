"""Backends broken on purpose that only a server can show: each is caught by the test that is meant to catch it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.conftest import Servers

#: The broken backend, its section, and the test that is meant to catch it.
CAUGHT = [
    (
        "SaysNotSent",
        "NetworkFailureTests",
        "test_a_cut_in_the_middle_of_a_reply_is_connection_lost_and_the_next_command_works",
    ),
    (
        "SharesItsErrors",
        "NetworkFailureTests",
        "test_every_caller_in_flight_gets_its_own_reply_or_an_error_of_its_own",
    ),
    (
        "SplitsTransactions",
        "NetworkFailureTests",
        "test_a_transaction_cut_at_any_byte_has_run_whole_or_not_at_all",
    ),
    (
        "StaysBroken",
        "NetworkFailureTests",
        "test_a_cut_in_the_middle_of_a_reply_is_connection_lost_and_the_next_command_works",
    ),
    ("WaitsForEver", "NetworkFailureTests", "test_a_server_that_accepts_and_says_nothing_is_a_timeout"),
    ("SaysLostWhereNobodyIs", "ErrorTests", "test_where_nobody_answers_it_is_connection_failed_and_nothing_was_sent"),
    ("LeavesItsServer", "StartTests", "test_a_server_is_started_serves_others_and_stops_with_its_store"),
]

PROGRAM = """
import asyncio
import os

import pytest
from store_core import ConnectionFailed, ConnectionLost, ReplyError, Timeout, register_store
from store_core.testing import ErrorTests, NetworkFailureTests, StartTests
from store_pulsards import PulsardsStore


class SaysNotSent(PulsardsStore):
    async def execute(self, *args, **options):
        try:
            return await super().execute(*args, **options)
        except ConnectionLost as error:
            raise ConnectionFailed("nothing was sent") from error


class SharesItsErrors(PulsardsStore):
    error = None

    async def execute(self, *args, **options):
        try:
            return await super().execute(*args, **options)
        except ConnectionLost as error:
            self.error = self.error or error
        raise self.error


class SplitsTransactions(PulsardsStore):
    async def execute_transaction(self, commands, watch=None):
        return [await self.execute(*command.args) for command in commands]


class SaysLostWhereNobodyIs(PulsardsStore):
    async def ping(self):
        try:
            return await super().ping()
        except ConnectionFailed as error:
            raise ConnectionLost("the command may have run") from error


class StaysBroken(PulsardsStore):
    broken = None

    async def execute(self, *args, **options):
        if self.broken is not None:
            raise ConnectionFailed("still broken") from self.broken
        try:
            return await super().execute(*args, **options)
        except ConnectionFailed as error:
            self.broken = error
            raise


class WaitsForEver(PulsardsStore):
    def __init__(self, dsn, params):
        super().__init__(dsn, type(params)({{**params, "timeout": 0}}))


class LeavesItsServer(PulsardsStore):
    async def _finish_close(self):
        self._server = None


for kind, section in {caught}:
    scheme = kind.__name__.lower()
    register_store(scheme, kind)
    kind.for_dsn = classmethod(lambda cls, dsn: cls)

    @pytest.fixture
    def store_url(self, scheme=scheme):
        return os.environ["SERVER"].replace("pulsards", scheme, 1)

    globals()[f"Test{{kind.__name__}}"] = type(
        f"Test{{kind.__name__}}", (section,), {{"store_url": store_url, "patience": 3.0, "__module__": __name__}}
    )
"""


@pytest.fixture(scope="module")
def caught(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Test class to the tests that failed."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pairs = ", ".join(f"({kind}, {section})" for kind, section, _ in CAUGHT)
    (folder / "test_broken.py").write_text(PROGRAM.format(caught=f"[{pairs}]"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "store_core.testing.plugin"]
    done = subprocess.run(
        [*command, "--tb=native", "--conformance-json", "result.json"],
        cwd=folder,
        env={**os.environ, "SERVER": servers.url("pulsards-tcp")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return {
        result["suite"]: {test for section in result["sections"].values() for test in section["failed"]}
        for result in json.loads((folder / "result.json").read_text())["stores"]
    }


@pytest.mark.parametrize(("kind", "test"), [(kind, test) for kind, _, test in CAUGHT])
def test_a_backend_broken_on_the_network_is_caught_by_the_test_meant_for_it(
    caught: dict[str, set[str]], kind: str, test: str
) -> None:
    assert test in caught[f"Test{kind}"]
