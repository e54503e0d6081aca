"""The registry, over directories of metadata that look like installed distributions. Nothing here is imported for real
but what a test says."""

from __future__ import annotations

import os
import re
import sys
import threading

import pytest

from store_core import (
    Backend,
    BackendBlocked,
    BackendConflict,
    BackendError,
    BackendLoadError,
    IncompatibleBackend,
    Store,
    UnknownBackend,
    create_store,
    register_store,
    registry,
)
from store_core.registry import KNOWN_DISTRIBUTIONS, SPEC, DataStores, pin_variable

GOOD = "from store_core import Store\nclass AcmeStore(Store):\n    pass\n"


class Site:
    """A directory on sys.path into which distributions are "installed"."""

    def __init__(self, path):
        self.path = path

    def install(self, name, points=None, version="1.0", group="store_core.backends", **modules):
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: body\n")
        lines = points if isinstance(points, str) else "\n".join(f"{key} = {value}" for key, value in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        for module, source in modules.items():
            (self.path / f"{module}.py").write_text(source)
        return info


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The first directory on sys.path; what is imported from it is forgotten after the test."""
    for variable in [name for name in os.environ if name.startswith(("STORE_BACKEND_", "STORE_BLOCK"))]:
        monkeypatch.delenv(variable)
    monkeypatch.syspath_prepend(tmp_path)
    yield Site(tmp_path)
    for name in [name for name in sys.modules if name.endswith("_mod")]:
        del sys.modules[name]


@pytest.fixture
def stores(site):
    """A registry of the test's own."""
    return DataStores()


@pytest.fixture
def scans(monkeypatch):
    """One entry for each scan."""
    counted, scan = [], registry._scan

    def counting():
        counted.append(threading.get_ident())
        return scan()

    monkeypatch.setattr(registry, "_scan", counting)
    return counted


# Finding.


def test_an_installed_backend_is_listed_with_its_provenance_and_not_imported(site, stores):
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"}, "2.5", acme_mod="raise AssertionError")
    backend = stores["acme"]
    assert backend == Backend("acme", "acme_mod:AcmeStore", "acme-store", "2.5", "entry point")
    assert str(backend) == "acme_mod:AcmeStore"
    assert "acme" in stores
    assert "acme" in list(stores)
    assert len(stores) == len(list(stores))
    assert "acme_mod" not in sys.modules


def test_the_listing_is_sorted_and_shows_itself(site, stores):
    site.install("acme-store", {"zebra": "m:A", "aardvark": "m:A"})
    assert list(stores) == sorted(stores)
    assert repr(stores).startswith("data_stores(aardvark, ")


def test_nothing_is_scanned_before_the_first_look_up_and_then_once(site, stores, scans):
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"})
    stores.register("mine", "my.module:Mine")
    assert stores["mine"].origin == "register_store"
    assert scans == []
    assert "acme" in stores
    assert "nothing" not in stores
    list(stores)
    assert len(scans) == 1


def test_a_refresh_finds_what_was_installed_since_and_forgets_what_is_gone(site, stores):
    info = site.install("acme-store", {"acme": "m:A"})
    assert "acme" in stores
    site.install("other-store", {"other": "m:A"})
    assert "other" not in stores
    (info / "entry_points.txt").unlink()
    stores.refresh()
    assert "other" in stores
    assert "acme" not in stores


def test_eight_threads_that_look_up_at_once_scan_once_and_see_the_same(site, stores, scans):
    site.install("acme-store", {"acme": "m:A"})
    start, seen = threading.Barrier(8), []

    def look():
        start.wait()
        seen.append((stores["acme"], tuple(stores)))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert len(scans) == 1


def test_schemes_are_found_whatever_their_case(site, stores):
    site.install("acme-store", {"AcMe": "m:A"})
    assert stores["acme"] == stores["ACME"]
    assert "Acme" in stores
    assert 5 not in stores


@pytest.mark.parametrize("value", ["acme_mod : AcmeStore", "acme_mod:AcmeStore [fast]", "acme_mod:AcmeStore[a,b]"])
def test_an_entry_point_in_any_legal_form_is_loaded(site, stores, value):
    site.install("acme-store", {"acme": value}, acme_mod=GOOD)
    assert stores["acme"].load().__name__ == "AcmeStore"


def test_what_one_distribution_says_twice_is_one(site, stores, tmp_path_factory, monkeypatch):
    again = tmp_path_factory.mktemp("again")
    monkeypatch.syspath_prepend(again)
    for place in (site, Site(again)):
        place.install("acme-store", {"acme": "acme_mod:AcmeStore"}, acme_mod=GOOD)
    site.install("Acme.Store", {"ACME": "acme_mod:AcmeStore"}, "1.0.1")
    assert stores["acme"].conflict == ""
    assert stores["acme"].load().__name__ == "AcmeStore"


def test_a_distribution_that_is_hidden_by_one_before_it_on_the_path_does_not_count(site, stores, tmp_path_factory):
    later = tmp_path_factory.mktemp("later")
    Site(later).install("acme-store", {"acme": "old_mod:Old", "old": "old_mod:Old"}, "0.9")
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"}, "1.0")
    sys.path.append(str(later))
    try:
        assert stores["acme"].version == "1.0"
        assert "old" not in stores
    finally:
        sys.path.remove(str(later))


# Conflicts and pins.


@pytest.fixture
def rivals(site):
    """Two distributions that offer one scheme; each serves another one undisputed."""
    site.install("acme-store", {"acme": "acme_mod:AcmeStore", "a": "acme_mod:AcmeStore"}, acme_mod=GOOD)
    site.install("bcme.store", {"acme": "bcme_mod:AcmeStore", "b": "bcme_mod:AcmeStore"}, "2.0", bcme_mod=GOOD)


@pytest.mark.usefixtures("rivals")
def test_a_conflict_is_an_error_only_when_the_scheme_is_used(stores):
    assert dict(stores)["acme"].conflict
    assert stores["a"].load().__module__ == "acme_mod"
    assert stores["b"].load().__module__ == "bcme_mod"
    with pytest.raises(BackendConflict) as caught:
        stores["acme"].load()
    message = "the scheme 'acme' is offered by acme-store and bcme.store; pin one with STORE_BACKEND_ACME=acme-store"
    assert str(caught.value) == message
    assert caught.value.scheme == "acme"
    assert caught.value.remedy == "pin one with STORE_BACKEND_ACME=acme-store"


@pytest.mark.usefixtures("rivals")
@pytest.mark.parametrize(
    ("pin", "module"), [("acme-store", "acme_mod"), ("bcme.store", "bcme_mod"), ("BCME_Store", "bcme_mod")]
)
def test_the_pin_decides(stores, monkeypatch, pin, module):
    monkeypatch.setenv("STORE_BACKEND_ACME", pin)
    assert stores["acme"].origin == "pin"
    assert stores["acme"].load().__module__ == module


@pytest.mark.usefixtures("rivals")
def test_a_pin_that_names_nobody_lists_those_it_could_name(stores, monkeypatch):
    monkeypatch.setenv("STORE_BACKEND_ACME", "ccme-store")
    assert "acme" in dict(stores)
    with pytest.raises(BackendConflict) as caught:
        stores["acme"].load()
    assert "STORE_BACKEND_ACME=ccme-store" in str(caught.value)
    assert str(caught.value).endswith("to one of: acme-store, bcme.store")


@pytest.mark.usefixtures("rivals")
def test_a_bad_pin_is_an_error_even_where_only_one_offers_the_scheme(stores, monkeypatch):
    monkeypatch.setenv("STORE_BACKEND_A", "bcme.store")
    with pytest.raises(BackendConflict, match=r"STORE_BACKEND_A=bcme\.store"):
        stores["a"].load()


@pytest.mark.usefixtures("rivals")
def test_a_pin_on_a_blocked_distribution_says_that_it_may_be_blocked(stores, monkeypatch):
    monkeypatch.setenv("STORE_BACKEND_ACME", "bcme.store")
    monkeypatch.setenv("STORE_BLOCK", "bcme-store")
    with pytest.raises(BackendConflict, match="not blocked"):
        stores["acme"].load()


def test_a_distribution_that_contradicts_itself_is_told_apart_from_a_conflict(site, stores, monkeypatch):
    site.install("acme-store", "acme = m:A\nacme = m:B")
    with pytest.raises(BackendConflict, match="acme-store offers the scheme 'acme' twice, as m:A and m:B"):
        stores["acme"].load()
    monkeypatch.setenv("STORE_BACKEND_ACME", "acme-store")
    with pytest.raises(BackendConflict, match="report it to its author"):
        stores["acme"].load()


@pytest.mark.parametrize(
    ("scheme", "variable"), [("redis", "STORE_BACKEND_REDIS"), ("a+b.c-d2", "STORE_BACKEND_A_B_C_D2")]
)
def test_the_variable_of_a_pin_is_one_that_a_shell_can_set(scheme, variable):
    assert pin_variable(scheme) == variable


@pytest.mark.usefixtures("rivals")
def test_a_pin_counts_from_the_next_look_up_and_so_does_its_end(stores, monkeypatch):
    assert stores["acme"].conflict
    monkeypatch.setenv("STORE_BACKEND_ACME", "bcme.store")
    assert (stores["acme"].distribution, stores["acme"].origin) == ("bcme.store", "pin")
    monkeypatch.setenv("STORE_BACKEND_ACME", "acme-store")
    assert stores["acme"].distribution == "acme-store"
    monkeypatch.delenv("STORE_BACKEND_ACME")
    assert stores["acme"].conflict


@pytest.mark.usefixtures("rivals")
def test_settings_are_read_from_an_environment_that_somebody_put_in_its_place(stores, monkeypatch):
    assert stores["acme"].conflict
    assert "b" in stores
    monkeypatch.setattr(os, "environ", {"STORE_BACKEND_ACME": "bcme.store"})
    assert stores["acme"].distribution == "bcme.store"
    monkeypatch.setattr(os, "environ", {"STORE_BLOCK": "bcme.store"})
    assert "b" not in stores
    assert stores["acme"].distribution == "acme-store"


# Blocking.


@pytest.mark.usefixtures("rivals")
@pytest.mark.parametrize("block", ["bcme.store", "bcme-store", "BCME_store", "x, bcme-store ,y"])
def test_a_blocked_distribution_is_hidden(stores, monkeypatch, block):
    monkeypatch.setenv("STORE_BLOCK", block)
    assert "b" not in stores
    assert "b" not in list(stores)
    assert stores.get("b") is None
    assert stores["acme"].load().__module__ == "acme_mod"
    assert [claim.distribution for claim in stores.blocked()["b"]] == ["bcme.store"]
    with pytest.raises(BackendBlocked) as caught:
        stores["b"]
    message = "the scheme 'b' is offered by bcme.store, which STORE_BLOCK hides; take it out of STORE_BLOCK"
    assert str(caught.value) == message
    assert (caught.value.distribution, caught.value.version) == ("bcme.store", "2.0")


@pytest.mark.usefixtures("rivals")
def test_the_block_can_be_set_and_lifted_while_the_program_runs(stores, monkeypatch):
    assert "b" in stores
    monkeypatch.setenv("STORE_BLOCK", "bcme-store")
    assert "b" not in stores
    monkeypatch.setenv("STORE_BLOCK", "")
    assert "b" in stores
    assert stores.blocked() == {}


# What is broken.


BROKEN = {
    "raises": ("broken_mod:AcmeStore", "1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("broken_mod:AcmeStore", "raise SystemExit(3)", "SystemExit: 3"),
    "syntax": ("broken_mod:AcmeStore", "def :", "SyntaxError"),
    "no module": ("broken_nowhere:AcmeStore", "", "ModuleNotFoundError"),
    "no class": ("broken_mod:AcmeStore", "", "AttributeError"),
    "no colon": ("broken_mod", "", "AttributeError"),
}


@pytest.mark.parametrize(("target", "source", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_backend_is_listed_and_costs_the_others_nothing(site, stores, target, source, cause):
    site.install("broken-store", {"broken": target}, "6.6", broken_mod=source)
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"}, acme_mod=GOOD)
    assert {"acme", "broken"} <= set(dict(stores))
    with pytest.raises(BackendLoadError) as caught:
        stores["broken"].load()
    error = caught.value
    assert str(error).startswith(f"the backend {target} of broken-store 6.6 cannot be loaded ({cause}")
    assert str(error).endswith("; reinstall or remove broken-store, or hide it with STORE_BLOCK=broken-store")
    assert (error.distribution, error.version, error.target) == ("broken-store", "6.6", target)
    assert type(error.__cause__).__name__ == cause.partition(":")[0]
    assert stores["acme"].load().__name__ == "AcmeStore"


@pytest.mark.parametrize("value", ["object()", "dict", "lambda dsn, params: None", "None"])
def test_what_is_no_store_class_is_refused(site, stores, value):
    site.install("odd-store", {"odd": "odd_mod:Odd"}, odd_mod=f"Odd = {value}")
    with pytest.raises(BackendLoadError, match=r"odd_mod:Odd of odd-store 1.0 is not a subclass of store_core.Store"):
        stores["odd"].load()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ((SPEC[0] + 1, 0), "upgrade store-core"),
        ((SPEC[0] - 1, 9), "upgrade other-store"),
        ((SPEC[0], SPEC[1] + 1), "upgrade store-core"),
        ("1.0", "not (major, minor)"),
        (None, "not (major, minor)"),
        ((1,), "not (major, minor)"),
    ],
)
def test_a_backend_for_another_hook_spec_is_refused(site, stores, spec, says):
    source = GOOD.replace("pass", f"store_spec = {spec!r}")
    site.install("other-store", {"other": "other_mod:AcmeStore"}, other_mod=source)
    assert "other" in stores
    with pytest.raises(IncompatibleBackend, match=re.escape(says)) as caught:
        stores["other"].load()
    assert "of other-store 1.0" in str(caught.value)


BROKEN_METADATA = {
    "a line without '='": lambda info: (info / "entry_points.txt").write_text("[store_core.backends]\ndamaged\n"),
    "an empty value": lambda info: (info / "entry_points.txt").write_text("[store_core.backends]\ndamaged =\n"),
    "no text": lambda info: (info / "entry_points.txt").write_bytes(b"[store_core.backends]\n\xff = a:B\n"),
    "no METADATA": lambda info: (info / "METADATA").unlink(),
    "an empty METADATA": lambda info: (info / "METADATA").write_text(""),
    "a METADATA without a name": lambda info: (info / "METADATA").write_text("Version: 1.0\n\n"),
    "no files at all": lambda info: [file.unlink() for file in info.iterdir()],
}


@pytest.mark.parametrize("damage", BROKEN_METADATA.values(), ids=BROKEN_METADATA)
def test_metadata_that_is_damaged_costs_the_others_nothing(site, stores, damage):
    damage(site.install("damaged-store", {"damaged": "m:A"}))
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"}, acme_mod=GOOD)
    assert "acme" in dict(stores)
    assert stores["acme"].load().__name__ == "AcmeStore"
    assert (stores["acme"].distribution, stores["acme"].version) == ("acme-store", "1.0")


def test_damaged_entry_points_are_told_of(site, stores, caplog):
    site.install("damaged-store", "acme")
    assert "acme" not in stores
    assert "ignored the line 'acme' in the entry points of damaged-store" in caplog.text


def test_a_dict_of_the_registry_never_raises_and_imports_nothing(site, stores, monkeypatch):
    site.install("acme-store", {"acme": "acme_mod:AcmeStore", "two": "acme_mod:A"}, acme_mod="1 / 0")
    site.install("bcme-store", {"acme": "bcme_mod:AcmeStore"}, bcme_mod="1 / 0")
    site.install("ccme-store", {"hidden": "ccme_mod:AcmeStore"}, ccme_mod="1 / 0")
    site.install("odd-store", {"under_score": ":::", "x": "not a target"})
    monkeypatch.setenv("STORE_BLOCK", "ccme-store")
    monkeypatch.setenv("STORE_BACKEND_TWO", "nobody")
    listed = dict(stores)
    assert {"acme", "two"} <= set(listed)
    assert "hidden" not in listed
    assert all(isinstance(backend, Backend) for backend in listed.values())
    assert not {"acme_mod", "bcme_mod", "ccme_mod"} & set(sys.modules)


# What is not there.


def test_an_unknown_scheme_says_which_installed_one_is_near(site, stores):
    site.install("acme-store", {"acmedb": "m:A"})
    with pytest.raises(
        UnknownBackend, match=r"^no backend for the scheme 'acmedbs'; did you mean 'acmedb'\?$"
    ) as caught:
        stores["acmedbs"]
    assert caught.value.scheme == "acmedbs"
    assert caught.value.remedy == "did you mean 'acmedb'?"


def test_pip_install_is_advised_only_for_schemes_that_are_known(site, stores, monkeypatch):
    monkeypatch.setattr(registry, "_scan", lambda: ({}, []))
    for scheme, distribution in KNOWN_DISTRIBUTIONS.items():
        with pytest.raises(UnknownBackend, match=f"; pip install {distribution}$"):
            stores[scheme]
    with pytest.raises(UnknownBackend, match=r"did you mean 'valkey'\? pip install store-redis$"):
        stores["valky"]
    with pytest.raises(UnknownBackend, match=r"installed: none$") as caught:
        stores["mongodb"]
    assert "pip" not in str(caught.value)


def test_a_miss_is_a_miss_of_a_mapping(stores):
    assert stores.get("nothing") is None
    assert "nothing" not in stores
    with pytest.raises(KeyError):
        stores["nothing"]


# register_store.


class Mine(Store):
    pass


def test_what_is_registered_after_a_look_up_counts_from_the_next_one(site, stores):
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"}, acme_mod=GOOD)
    assert stores["acme"].origin == "entry point"
    stores.register("acme", Mine)
    assert stores["acme"].load() is Mine
    stores.register("acme", "acme_mod:AcmeStore")
    assert stores["acme"].load() is not Mine
    stores.unregister("acme")
    assert stores["acme"].origin == "entry point"


def test_a_class_registered_at_run_time_wins_over_an_installed_one_until_it_is_unregistered(site, stores, monkeypatch):
    site.install("acme-store", {"acme": "acme_mod:AcmeStore"}, acme_mod=GOOD)
    monkeypatch.setenv("STORE_BACKEND_ACME", "acme-store")
    backend = stores.register("ACME", Mine)
    assert stores["acme"] is backend
    assert backend.origin == "register_store"
    assert backend.load() is Mine
    assert str(backend) == f"{Mine.__module__}:Mine"
    stores.unregister("Acme")
    assert stores["acme"].origin == "pin"
    with pytest.raises(UnknownBackend, match="no store was registered for the scheme 'acme'"):
        stores.unregister("acme")


@pytest.mark.parametrize("target", ["acme_mod:AcmeStore", "acme_mod.AcmeStore"])
def test_a_dotted_path_is_imported_at_the_first_use(site, stores, target):
    site.install("acme-store", {}, acme_mod=GOOD)
    backend = stores.register("mine", target)
    assert str(backend) == "acme_mod:AcmeStore"
    assert "acme_mod" not in sys.modules
    assert backend.load().__module__ == "acme_mod"


def test_a_registered_path_that_cannot_be_imported_is_told_without_a_distribution(stores):
    stores.register("mine", "no_such_module:Mine")
    with pytest.raises(BackendLoadError, match=r"ModuleNotFoundError.*; register a target that can be imported$"):
        stores["mine"].load()


@pytest.mark.parametrize("target", ["", "Mine", "a.b:", ":Mine", "a b:Mine", "a:b:c", "a..b", "a-b:Mine"])
def test_a_malformed_path_is_refused(stores, target):
    with pytest.raises(ValueError, match="is not a dotted path"):
        stores.register("mine", target)


@pytest.mark.parametrize("scheme", ["", "1a", "a b", "a_b", "a:b", "é"])
def test_a_malformed_scheme_is_refused(stores, scheme):
    with pytest.raises(ValueError, match="is not a scheme"):
        stores.register(scheme, Mine)


def test_register_store_serves_create_store():
    register_store("mine", Mine)
    try:
        assert type(create_store("mine://h")) is Mine
    finally:
        registry.data_stores.unregister("mine")
    with pytest.raises(BackendError):
        create_store("mine://h")


# Extensions.


def test_installed_extensions_are_listed_by_name_unless_blocked(site, stores, monkeypatch):
    site.install("z-ext", {"zoo": "m:Z"}, group="store_core.extensions")
    site.install("a-ext", {"ant": "m:A"}, group="store_core.extensions")
    assert [claim.name for claim in stores.extensions()] == ["ant", "zoo"]
    monkeypatch.setenv("STORE_BLOCK", "a_ext")
    assert [claim.name for claim in stores.extensions()] == ["zoo"]
