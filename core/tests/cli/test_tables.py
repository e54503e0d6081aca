"""Tables as text: aligned, nothing cut."""

from __future__ import annotations

from store_core.cli.tables import plain


def test_columns_are_as_wide_as_their_widest_cell_and_an_empty_cell_is_a_dash() -> None:
    text = plain(("NAME", "HELP"), [("a", "one\n two"), ("longer", "")])
    assert text == "NAME    HELP\na       one two\nlonger  -\n"


def test_a_table_without_rows_is_its_header() -> None:
    assert plain(("NAME", "HELP"), []) == "NAME  HELP\n"
