"""What `import store_core` costs and brings."""

from __future__ import annotations

import inspect
import json

import pytest

import store_core
from store_core import errors

LOADED = "import json, sys; before = set(sys.modules); {}; print(json.dumps(sorted(set(sys.modules) - before)))"
HEAVY = {
    "difflib",
    "importlib_metadata",
    "ipaddress",
    "pluggy",
    "prompt_toolkit",
    "pydantic",
    "redis",
    "rich",
    "store_pulsards",
    "store_redis",
    "typer",
    "urllib.parse",
}


@pytest.mark.parametrize("extra", ["", "; store_core.register_store('acme', 'no.such.module:Store')"])
def test_importing_the_core_imports_no_backend_and_nothing_heavy(run_python, extra):
    loaded = set(json.loads(run_python(LOADED.format("import store_core" + extra))))
    assert "store_core.store" in loaded
    assert loaded & HEAVY == set()
    assert not {name for name in loaded if name.startswith(("store_core.cli", "store_core.testing"))}


def test_listing_and_looking_up_backends_imports_none_of_them(run_python):
    program = "import store_core; dict(store_core.data_stores); 'redis' in store_core.data_stores"
    loaded = set(json.loads(run_python(LOADED.format(program))))
    assert "store_core.installed" in loaded
    assert loaded & HEAVY == set()


def test_hookimpl_brings_pluggy_when_it_is_asked_for(run_python):
    assert "pluggy" in json.loads(run_python(LOADED.format("from store_core import hookimpl")))


@pytest.mark.parametrize("name", store_core.__all__)
def test_every_public_name_exists_and_has_a_docstring(name):
    found = getattr(store_core, name)
    assert inspect.getdoc(found)
    if inspect.isclass(found):
        # A dataclass without a docstring is given its signature as one.
        assert not found.__doc__.startswith(f"{name}(")


def test_the_public_names_are_all_there_is():
    public = {name for name, value in vars(store_core).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert public - {"annotations", "TYPE_CHECKING", "Any"} <= set(store_core.__all__)
    assert len(store_core.__all__) == len(set(store_core.__all__))


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'create_stroe'"):
        store_core.create_stroe  # noqa: B018


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if inspect.isclass(kind)])
def test_every_error_says_what_it_means(kind):
    assert kind.__doc__


@pytest.mark.parametrize("kind", [store_core.Store, store_core.PubSub, store_core.Channels, store_core.DSN])
def test_every_public_method_has_a_docstring(kind):
    bare = [name for name, member in vars(kind).items() if callable(member) and name[0] != "_" and not member.__doc__]
    assert bare == []
