"""Backends and extensions that come and go with pip."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.timeout(600)

LIST = "from store_core import data_stores; listed = {k: str(v) for k, v in data_stores.items()}\n"
EXECUTE = "from store_core import create_store; show(asyncio.run(create_store({!r}).execute('hello')))"
ERROR = """
import store_core
try:
    store_core.create_store({!r})
except store_core.StoreError as error:
    told = vars(error).copy()
    show({{"kind": type(error).__name__, "text": str(error), "cause": type(error.__cause__).__name__, **told}})
"""


def test_installing_a_backend_brings_the_core(base, wheel):
    assert any(re.match(r"store-core\b", each) for each in wheel("store-redis").requires)
    installed = base.run(
        "from importlib_metadata import version; show([version('store-core'), version('store-redis')])"
    )
    assert installed == [wheel(name).metadata["Version"] for name in ("store-core", "store-redis")]
    location = base.run("import store_core; show([store_core.__file__, sys.prefix])")
    assert location[0].startswith(location[1])


def test_the_installed_backend_is_listed_and_neither_it_nor_its_library_is_imported(base):
    listed, loaded = base.run(LIST + "show([listed, sorted(sys.modules)])")
    assert listed["redis"] == listed["valkeys"] == listed["unix"] == "store_redis:RedisStore"
    assert "store_core.installed" in loaded
    assert not {"store_redis", "redis", "hiredis", "pluggy"} & set(loaded)


def test_creating_a_store_of_the_installed_backend_does_not_import_redis_py(base):
    program = "from store_core import create_store; store = create_store('redis://127.0.0.1:1/2')\n"
    name, loaded = base.run(program + "show([type(store).__name__, sorted(sys.modules)])")
    assert name == "RedisStore"
    assert not {"redis", "pluggy"} & set(loaded)


def test_a_third_partys_backend_is_found_and_listed_without_being_imported_and_works(environment):
    acme = environment("acme-store")
    program = "backend = data_stores['acme']\n"
    program += "show([listed, backend.distribution, backend.version, backend.origin, sorted(sys.modules)])"
    listed, *provenance, loaded = acme.run(LIST + program)
    assert listed["acme"] == "acme_store:AcmeStore"
    assert provenance == ["acme-store", "1.2", "entry point"]
    assert "acme_store" not in loaded
    assert acme.run(EXECUTE.format("acme://h")) == "AcmeStore says hello"


def test_an_uninstalled_backend_is_gone(environment):
    acme = environment("acme-store")
    assert "acme" in acme.run(LIST + "show(listed)")
    acme.pip("uninstall", "--yes", "acme-store")
    assert "acme" not in acme.run(LIST + "show(listed)")
    told = acme.run(ERROR.format("acme://h"))
    assert told["kind"] == "UnknownBackend"
    assert "pip install" not in told["text"]


def test_a_running_program_sees_what_pip_does_after_a_refresh(base, wheel):
    pip = "subprocess.run([sys.executable, '-m', 'pip', '-qq', *{!r}], check=True)\n"
    look = "seen.append('acme' in data_stores)\n"
    program = "import subprocess\nfrom store_core import data_stores\nseen = []\n" + look
    program += pip.format(["install", "--no-index", "--no-deps", str(wheel("acme-store").path)]) + look
    program += "data_stores.refresh()\n" + look + "data_stores['acme'].load()\n"
    program += pip.format(["uninstall", "--yes", "acme-store"]) + "data_stores.refresh()\n" + look
    assert base.run(program + "show(seen)") == [False, False, True, False]


def test_a_backend_that_raises_at_import_is_listed_and_the_others_work(environment):
    both = environment("broken-store", "acme-store")
    assert {"acme", "broken", "redis"} <= set(both.run(LIST + "show(listed)"))
    told = both.run(ERROR.format("broken://h"))
    assert told["kind"] == "BackendLoadError"
    assert told["cause"] == "ImportError"
    assert "broken_store:BrokenStore of broken-store 1.2 cannot be loaded (ImportError: libbroken.so.1" in told["text"]
    assert told["remedy"] == "reinstall or remove broken-store, or hide it with STORE_BLOCK=broken-store"
    assert both.run(EXECUTE.format("acme://h")) == "AcmeStore says hello"


def test_two_backends_of_one_scheme_are_an_error_on_use_until_one_is_pinned(environment):
    both = environment("acme-store", "Rival.Store")
    assert {"acme", "redis"} <= set(both.run(LIST + "show(listed)"))
    told = both.run(ERROR.format("acme://h"))
    assert told["kind"] == "BackendConflict"
    message = "the scheme 'acme' is offered by acme-store and Rival.Store; pin one with STORE_BACKEND_ACME=acme-store"
    assert told["text"] == message
    for pin, name in (("acme-store", "AcmeStore"), ("rival-store", "RivalStore"), ("Rival.Store", "RivalStore")):
        assert both.run(EXECUTE.format("acme://h"), STORE_BACKEND_ACME=pin) == f"{name} says hello"
    told = both.run(ERROR.format("acme://h"), STORE_BACKEND_ACME="store-redis")
    assert told["kind"] == "BackendConflict"
    assert told["text"].endswith("to one of: Rival.Store, acme-store")


def test_blocking_one_of_two_leaves_the_other(environment):
    both = environment("acme-store", "Rival.Store")
    assert both.run(EXECUTE.format("acme://h"), STORE_BLOCK="rival_store") == "AcmeStore says hello"


def test_a_blocked_backend_is_hidden_and_says_so_when_it_is_asked_for(environment):
    acme = environment("acme-store")
    assert "acme" not in acme.run(LIST + "show(listed)", STORE_BLOCK="acme_store")
    told = acme.run(ERROR.format("acme://h"), STORE_BLOCK="acme_store")
    assert told["kind"] == "BackendBlocked"
    assert told["remedy"] == "take it out of STORE_BLOCK"
    assert (told["distribution"], told["version"]) == ("acme-store", "1.2")


def test_a_backend_for_another_hook_spec_is_refused_with_its_remedy(environment):
    future = environment("future-store")
    assert "future" in future.run(LIST + "show(listed)")
    told = future.run(ERROR.format("future://h"))
    assert told["kind"] == "IncompatibleBackend"
    assert "of future-store 1.2 was written for hook spec 2.0; this store-core has 1.0" in told["text"]
    assert told["remedy"] == "upgrade store-core"


def test_an_installed_extension_is_applied_and_can_be_blocked(environment):
    both = environment("acme-store", "shout-extension")
    assert both.run(EXECUTE.format("acme://h")) == "ACMESTORE SAYS HELLO"
    assert both.run(EXECUTE.format("acme://h"), STORE_BLOCK="shout-extension") == "AcmeStore says hello"


def test_one_damaged_distribution_hides_no_other(environment):
    acme = environment("acme-store", "broken-store")
    damage = "from importlib_metadata import files\n"
    damage += "(points,) = [file for file in files('broken-store') if file.name == 'entry_points.txt']\n"
    damage += "points.locate().write_text('broken')\n"
    acme.run(damage + "show(None)")
    listed = acme.run(LIST + "show(listed)")
    assert "acme" in listed
    assert "broken" not in listed
