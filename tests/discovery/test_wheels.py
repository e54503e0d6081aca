"""What is in the wheels."""

from __future__ import annotations

import re

import pytest
from tests.environments import OWN

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(params=sorted(OWN))
def own(request, wheel):
    return wheel(request.param)


def package(own):
    return own.metadata["Name"].replace("-", "_")


def test_a_wheel_is_typed_and_carries_its_license(own):
    assert f"{package(own)}/py.typed" in own.names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in own.names)
    assert own.metadata["License-Expression"] == "BSD-3-Clause"


def test_a_wheel_holds_one_package_and_no_tests(own):
    assert {name.partition("/")[0] for name in own.names if ".dist-info/" not in name} == {package(own)}
    unwanted = ("test_", "conftest", "__pycache__", ".pyc")
    assert [name for name in own.names if any(part.startswith(unwanted) for part in name.split("/"))] == []
    assert [name for name in own.names if name.startswith(f"{package(own)}/tests/")] == []


def test_a_wheel_needs_only_what_is_older_than_it(own):
    # core needs no backend; redis needs core; pulsards needs both.
    needs = {re.match(r"[\w-]+", each)[0] for each in own.requires if each.startswith("store-")}
    allowed = {
        "store-core": set(),
        "store-redis": {"store-core"},
        "store-pulsards": {"store-core", "store-redis"},
        "store-postgres": {"store-core"},
        "store-odm": {"store-core"},
    }
    assert needs == allowed[own.metadata["Name"]]


def test_the_version_in_the_metadata_is_the_cores_own(wheel, base):
    assert base.run("import store_core; show(store_core.__version__)") == wheel("store-core").metadata["Version"]
