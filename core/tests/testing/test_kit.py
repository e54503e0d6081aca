"""The kit's own rules: what it refuses, what it skips, what it expects, and what its results say."""

from __future__ import annotations

import pytest

from store_core.testing import KIT_VERSION, ConformanceWarning, Dialect, ExecuteTests, PipelineTests, RedisDialect
from store_core.testing.dialect import dialect_of
from store_core.testing.result import one_line
from store_core.testing.section import Section
from store_core.testing.since import is_new, since

HEAD = """
import pytest
from store_core import Capability, register_store
from store_core.testing import ExecuteTests, WatchTests, StoreTests
from reference import ReferenceStore

register_store("reference", ReferenceStore)

class Mute(ReferenceStore):
    capabilities = ReferenceStore.capabilities - {Capability.WATCH}

    async def watch(self, *keys):
        return await super(ReferenceStore, self).watch(*keys)

class Lossy(ReferenceStore):
    def do_get(self, name):
        raise ValueError("lost hunter2-secret")

register_store("mute", Mute)
register_store("lossy", Lossy)
"""

URL = """
    @pytest.fixture
    def store_url(self):
        return "{url}"
"""


def only(data):
    (result,) = data["stores"]
    (section,) = result["sections"].values()
    return result, section


def test_a_section_whose_capability_is_not_declared_is_skipped_naming_it(kit):
    data, output, status = kit(HEAD + "class TestMute(WatchTests):" + URL.format(url="mute://"))
    assert status == 0, output
    _, section = only(data)
    assert section["passed"] == 0
    assert set(section["skipped"].values()) == {"reference does not declare watch"}


def test_an_expected_failure_fails_with_its_reason(kit):
    expected = "    expected_failures = {'test_a_value_that_was_written_is_read': 'issue 7'}\n"
    program = HEAD + "class TestLossy(ExecuteTests):\n" + expected + URL.format(url="lossy://")
    data, _, status = kit(program, "-k", "test_a_value_that_was_written_is_read")
    _, section = only(data)
    assert (status, section["expected_failures"]) == (0, {"test_a_value_that_was_written_is_read": "issue 7"})


def test_an_expected_failure_that_passes_is_a_failure(kit):
    expected = "    expected_failures = {'test_a_value_that_was_written_is_read': 'issue 7'}\n"
    program = HEAD + "class TestFine(ExecuteTests):\n" + expected + URL.format(url="reference://")
    data, _, status = kit(program, "-k", "test_a_value_that_was_written_is_read")
    _, section = only(data)
    assert status == 1
    assert list(section["failed"]) == ["test_a_value_that_was_written_is_read"]


def test_a_result_says_who_was_tested_by_which_kit_and_repeats_no_secret(kit):
    url = "lossy://?password=hunter2-secret"
    program = HEAD + "class TestLossy(ExecuteTests):" + URL.format(url=url)
    data, _, status = kit(program, "-k", "test_a_value_that_was_written_is_read")
    result, section = only(data)
    assert status == 1
    assert (data["kit"], data["spec"]) == (KIT_VERSION, "1.0")
    assert (result["store"], result["form"], result["suite"]) == ("reference", "lossy:// Lossy", "TestLossy")
    assert "execute" in result["capabilities"]
    assert "lost ***" in section["failed"]["test_a_value_that_was_written_is_read"]
    assert "hunter2" not in str(data)


def test_a_store_fixture_will_do_in_place_of_a_connection_string(kit):
    program = """
import pytest_asyncio
from store_core import create_store

class TestOwn(ExecuteTests):
    @pytest_asyncio.fixture
    async def store(self):
        async with create_store("reference://") as store:
            yield store
"""
    data, output, status = kit(HEAD + program)
    assert status == 0, output
    assert only(data)[1]["passed"] > 10


def test_neither_fixture_is_an_error_that_says_so(kit):
    _, output, status = kit(HEAD + "class TestNothing(ExecuteTests):\n    pass\n")
    assert status == 1
    assert "TestNothing defines neither the fixture store_url nor store" in output


def test_tests_of_the_authors_own_are_theirs_alone(kit):
    own = "    def test_mine(self, store_url):\n        assert store_url == 'reference://'\n"
    program = HEAD + "class TestOwn(ExecuteTests):\n" + own + URL.format(url="reference://")
    data, output, status = kit(program, "-k", "test_mine")
    assert (status, data["stores"]) == (0, []), output


def test_a_test_that_hangs_fails_after_the_patience_of_its_class(kit):
    program = """
import asyncio

class Hangs(ReferenceStore):
    async def run(self, args, options):
        await asyncio.Event().wait()

register_store("hangs", Hangs)

class TestHangs(ExecuteTests):
    patience = 0.1
""" + URL.format(url="hangs://")
    data, _, status = kit(HEAD + program, "-k", "test_a_value_that_was_written_is_read")
    assert status == 1
    assert "still not done after 0.1 s" in only(data)[1]["failed"]["test_a_value_that_was_written_is_read"]


def test_a_new_test_that_fails_is_a_warning_even_where_warnings_are_errors(kit):
    program = """
from store_core.testing.section import Section
from store_core.testing.since import since

class NewTests(Section, section="new"):
    @since("9.9")
    async def test_news(self, store):
        assert await store.ping() == "news"

class TestNew(NewTests):
""" + URL.format(url="reference://")
    data, output, status = kit(HEAD + program)
    assert status == 0, output
    _, section = only(data)
    assert list(section["warnings"]) == ["test_news"]
    assert "ConformanceWarning: test_news is new in kit 9.9" in output


# What needs no run.


@pytest.mark.parametrize(
    ("version", "kit", "new"),
    [("0.2", "0.2.0", True), ("0.2", "0.2.9", True), ("0.2", "0.3.0", False), ("0.9", "1.0.0", False)],
)
def test_a_test_is_new_for_one_minor_version(version, kit, new):
    assert is_new(version, kit) is new


def test_a_test_that_is_no_longer_new_fails_as_any_other():
    def test():
        raise ZeroDivisionError

    assert since("0.1", kit="0.2.0")(test) is test
    lenient = since("0.2", kit="0.2.1")(test)
    with pytest.warns(ConformanceWarning, match="new in kit 0.2"), pytest.raises(pytest.xfail.Exception):
        lenient()


def test_a_test_of_the_kit_cannot_be_overridden():
    with pytest.raises(TypeError, match="overrides a test of the kit; list it in expected_failures"):
        type("TestAcme", (ExecuteTests,), {"test_a_value_that_was_written_is_read": lambda self: None})


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"test_nothing": "reason"}, "there is no test 'test_nothing'"),
        ({"test_a_key_is_overwritten": " "}, "no reason"),
    ],
)
def test_an_expected_failure_names_a_test_and_a_reason(expected, message):
    with pytest.raises(TypeError, match=message):
        type("TestAcme", (ExecuteTests,), {"expected_failures": expected})


def test_two_sections_cannot_share_the_name_of_a_test():
    class OneTests(Section, section="one"):
        def test_it(self):
            pass

    class TwoTests(Section, section="two"):
        def test_it(self):
            pass

    with pytest.raises(TypeError, match="TwoTests and OneTests both have a test test_it"):
        type("BothTests", (TwoTests, OneTests), {})
    assert type("FineTests", (ExecuteTests, PipelineTests), {})


def test_a_dialect_is_found_by_the_name_that_a_store_class_gives():
    from store_core import Store, StoreError

    def named(target):
        return type("AcmeStore", (Store,), {"conformance_dialect": target})

    assert isinstance(dialect_of(Store), RedisDialect)
    assert type(dialect_of(named("store_core.testing:Dialect"))) is Dialect
    for target, problem in (("no.such:Thing", "cannot be loaded"), ("os:getcwd", "is no store_core.testing.Dialect")):
        with pytest.raises(StoreError, match=problem):
            dialect_of(named(target))


def test_a_reason_is_one_line_without_secrets():
    assert one_line("\n  cannot log in as ada:hunter2 \nmore", ["hunter2"]) == "cannot log in as ada:***"
