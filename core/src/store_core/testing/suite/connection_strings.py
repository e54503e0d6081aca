"""Connection strings: no I/O, round trips, and errors that name what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from store_core.dsn import DSN, Host
from store_core.errors import DSNError
from store_core.parameters import Parameter
from store_core.registry import SPEC
from store_core.store import Store, create_store
from store_core.testing.leaks import nothing_left
from store_core.testing.section import Section

#: For each type, a value that does not fit.
_MISFITS: dict[type, str] = {int: "several", float: "soon", bool: "perhaps"}


class ConnectionStringTests(Section, section="connection strings"):
    """``create_store`` and the parameters that a backend declares."""

    async def test_creating_a_store_does_no_io(self, store_url: str) -> None:
        # No such host can exist: whoever looks for it fails.
        nowhere = Host("no-such-host.invalid", 1)
        dsn = DSN.parse(store_url)
        async with nothing_left():
            store = create_store(replace(dsn, hosts=(nowhere,) * len(dsn.hosts)))
        assert not store.closed
        await store.close()

    def test_a_store_is_created_where_no_event_loop_runs(self, store_url: str) -> None:
        store = create_store(store_url)
        assert isinstance(store, Store)
        assert not store.closed

    def test_the_stores_own_string_makes_the_same_store(self, store_url: str) -> None:
        store = create_store(store_url)
        again = create_store(store.dsn)
        assert type(again) is type(store)
        assert (again.dsn, dict(again.params)) == (store.dsn, dict(store.params))
        assert (again.name, again.database, again.namespace) == (store.name, store.database, store.namespace)

    def test_a_parameter_that_does_not_exist_is_refused_by_name(self, store_url: str) -> None:
        with pytest.raises(DSNError, match="no_such_parameter"):
            create_store(store_url, no_such_parameter=1)

    def test_a_value_that_does_not_fit_is_refused_by_name(self, store_url: str) -> None:
        for parameter in create_store(store_url).parameters:
            if parameter.type in _MISFITS:
                with pytest.raises(DSNError, match=parameter.name):
                    create_store(store_url, **{parameter.name: _MISFITS[parameter.type]})

    def test_a_keyword_wins_over_the_string(self, store_url: str) -> None:
        for parameter in create_store(store_url).parameters:
            value = _another(parameter)
            if value is not None:
                store = create_store(store_url, **dict[str, Any]({parameter.name: value}))
                assert store.params[parameter.name] == value
                assert create_store(store.dsn).params[parameter.name] == value

    def test_every_parameter_has_its_own_name_a_line_of_help_and_a_default_that_fits(self, store_url: str) -> None:
        store = create_store(store_url)
        names = [parameter.name for parameter in store.parameters]
        assert len(names) == len(set(names))
        for parameter in store.parameters:
            assert parameter.help.strip(), f"{parameter.name} has no help"
            assert "\n" not in parameter.help, f"the help of {parameter.name} has several lines"
            if parameter.default is not None:
                assert parameter.convert(parameter.text(parameter.default), store.name) == parameter.default

    def test_the_backend_has_a_name_and_says_which_hook_spec_it_was_written_for(self, store_url: str) -> None:
        store = create_store(store_url)
        assert store.name
        major, minor = store.store_spec
        assert major == SPEC[0]
        assert minor <= SPEC[1]


def _another(parameter: Parameter) -> object:
    """A value of the parameter that is not its default; None where none is known to be allowed."""
    if parameter.choices:
        return next((choice for choice in parameter.choices if choice != parameter.default), None)
    if parameter.type is bool:
        return not parameter.default
    if parameter.type in (int, float):
        return parameter.type((parameter.default or parameter.minimum or 0) + 1)
    return None
