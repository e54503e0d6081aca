"""Directives whose tables come from the code at build time, so that no page can go stale.

::

    ```{parameters} redis          the parameters of a backend's connection strings
    ```{capabilities}              what each installed backend can do
    ```{pulsards-options}          the options of the `pulsards` command
    ```{pulsards-commands}         the command table of the pulsards engine
    ```{pulsards-absent}           what the engine knows of Redis and refuses
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from store_core import Capability, Parameter, data_stores
from store_core.parameters import secret_names

Cell = str | nodes.Node


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> nodes.table:
    """A table; a text is a cell, and so is a node."""
    group = nodes.tgroup(cols=len(header))
    group.extend(nodes.colspec(colwidth=1) for _ in header)
    group += nodes.thead("", _row(header))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group)


def _row(cells: Sequence[Cell]) -> nodes.row:
    contents = (cell if isinstance(cell, nodes.Node) else nodes.Text(cell) for cell in cells)
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", content)) for content in contents))


def code(text: str) -> nodes.literal:
    """Text as code."""
    return nodes.literal(text, text)


class Parameters(SphinxDirective):
    """``parameters <scheme>``"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        declared = data_stores[self.arguments[0]].load().parameters
        secrets = secret_names(declared)
        rows = [self._row(parameter, parameter.name in secrets) for parameter in declared]
        return [table(("Parameter", "Type", "Default", "What it does"), rows)]

    def _row(self, parameter: Parameter, secret: bool) -> Sequence[Cell]:
        unset = parameter.default is None or parameter.default == ""
        default: Cell = "" if unset else code(parameter.text(parameter.default))
        text = [parameter.help]
        if parameter.choices:
            text.append(" or ".join(map(str, parameter.choices)))
        if parameter.minimum is not None:
            text.append(f"at least {parameter.minimum:g}")
        if parameter.keyword_only:
            text.append("keyword only: not in the connection string")
        elif secret:
            text.append("secret: masked in reprs, logs, errors and pickles")
        return code(parameter.name), parameter.type.__name__, default, "; ".join(text)


class Capabilities(SphinxDirective):
    """``capabilities``"""

    def run(self) -> list[nodes.Node]:
        kinds = {scheme: data_stores[scheme].load() for scheme in ("redis", "pulsards", "postgres")}
        rows = [
            (code(f"Capability.{each.name}"), *("yes" if each in kind.capabilities else "" for kind in kinds.values()))
            for each in Capability
        ]
        return [table(("Capability", *kinds), rows)]


class PulsardsOptions(SphinxDirective):
    """``pulsards-options``"""

    def run(self) -> list[nodes.Node]:
        from store_pulsards.cli import make_parser

        parser = make_parser()
        rows = [
            (code(" ".join([*action.option_strings, _argument(action)])), _help(parser, action))
            for action in parser._actions
        ]
        return [table(("Option", "What it does"), rows)]


def _argument(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices:
        return "|".join(map(str, action.choices))
    name = action.metavar or action.dest.upper()
    return f"{name} …" if action.nargs == "+" else str(name)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    told = action.nargs == 0 or "default:" in text or action.default in (None, "")
    default = " ".join(action.default) if isinstance(action.default, list) else action.default
    return text if told else f"{text} (default: {default})"


class PulsardsCommands(SphinxDirective):
    """``pulsards-commands``"""

    def run(self) -> list[nodes.Node]:
        import store_pulsards.engine.commands  # noqa: F401 - fills the table
        from store_pulsards.engine.table import every

        groups: dict[str, list[Any]] = {}
        for spec in every():
            groups.setdefault(spec.group, []).append(spec)
        return [self._section(group, specs) for group, specs in sorted(groups.items())]

    def _section(self, group: str, specs: list[Any]) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(f"commands-{group}")])
        section += nodes.title("", group.replace("-", " ").capitalize())
        named = [part for spec in specs for part in ((spec, *spec.parts) if spec.subcommands else (spec,))]
        rows = [
            (code(spec.name.replace("|", " ").upper()), spec.summary or "A container of subcommands.", spec.since)
            for spec in sorted(named, key=lambda spec: spec.name)
        ]
        section += table(("Command", "What it does", "Since"), rows)
        return section


class PulsardsAbsent(SphinxDirective):
    """``pulsards-absent``"""

    def run(self) -> list[nodes.Node]:
        import store_pulsards.engine.commands  # noqa: F401 - fills the table
        from store_pulsards.engine.table import refused

        reasons: dict[str, list[str]] = {}
        for spec in refused():
            reasons.setdefault(spec.absent, []).append(spec.name.replace("|", " ").upper())
        rows = [(reason, code(", ".join(sorted(names)))) for reason, names in sorted(reasons.items())]
        return [table(("What is not there", "Commands that are refused"), rows)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("parameters", Parameters)
    app.add_directive("capabilities", Capabilities)
    app.add_directive("pulsards-options", PulsardsOptions)
    app.add_directive("pulsards-commands", PulsardsCommands)
    app.add_directive("pulsards-absent", PulsardsAbsent)
    return {"version": "1", "parallel_read_safe": True}
