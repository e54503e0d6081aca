"""What is installed: the entry points that distributions offer to this library.

importlib_metadata takes longer to import and to search than the rest of a program's start together. So where all of
sys.path is directories, they are read here, by its rules: a distribution is a ``*.dist-info`` or ``*.egg-info``, the
first of a name hides the others, one with metadata goes before one without. Where there is more (a zip file, an egg,
a finder of somebody's own) importlib_metadata is asked. A distribution that is damaged costs the others nothing.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

#: What the names of this library's groups begin with.
PREFIX = "store_core."

_HEADER = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)
#: Whose finders do no more than the directories of sys.path.
_KNOWN_FINDERS = frozenset({"_frozen_importlib_external", "importlib_metadata"})

#: Reads a file of a distribution's metadata; empty where there is none.
Reader = Callable[[str], str]


class Claim(NamedTuple):
    """One entry point of an installed distribution."""

    name: str
    value: str
    distribution: str
    version: str


def scan() -> dict[str, list[Claim]]:
    """Every entry point in this library's groups, by group."""
    distributions = _in_directories()
    return _claims(_by_importlib_metadata() if distributions is None else distributions)


def normalized(distribution: str) -> str:
    """A distribution's name as names are compared: ``Acme.Store`` is ``acme-store``."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _in_directories() -> list[tuple[str, Reader]] | None:
    """(name, reader) of each distribution in the order of sys.path; None where sys.path has more than directories."""
    if not all(map(_is_known, sys.meta_path)):
        return None
    found: list[tuple[str, Reader]] = []
    for place in dict.fromkeys(sys.path):
        if place.lower().endswith(".egg"):
            return None
        try:
            children = os.listdir(place or ".")  # noqa: PTH208 - pathlib costs more than all of this
        except NotADirectoryError:
            return None
        except OSError:
            continue
        for child in children:
            stem, extension = os.path.splitext(child)  # noqa: PTH122 - as above
            if extension.lower() in (".dist-info", ".egg-info"):
                found.append((stem.partition("-")[0], partial(_read, f"{place or '.'}{os.sep}{child}")))
    return found


def _is_known(finder: Any) -> bool:
    return getattr(finder, "find_distributions", None) is None or getattr(finder, "__module__", "") in _KNOWN_FINDERS


def _read(folder: str, file: str) -> str:
    try:
        # Without a buffer and a text layer, a third of the time; there may be hundreds of files.
        with open(folder + os.sep + file, "rb", buffering=0) as opened:  # noqa: PTH123 - as above
            return opened.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _by_importlib_metadata() -> Iterator[tuple[str, Reader]]:
    from importlib_metadata import distributions

    for distribution in distributions():
        read = partial(_ask, distribution)
        yield _headers(read).get("Name", "unknown"), read


def _ask(distribution: Any, file: str) -> str:
    try:
        text = distribution.read_text(file)
        if text is None and file == "entry_points.txt":
            # A finder of somebody's own may have the entry points and no such file.
            text = "\n".join(f"[{each.group}]\n{each.name} = {each.value}" for each in distribution.entry_points)
    except Exception:
        logger.warning("cannot read %s of an installed distribution", file, exc_info=True)
        return ""
    return text or ""


def _claims(distributions: Iterable[tuple[str, Reader]]) -> dict[str, list[Claim]]:
    readers: dict[str, list[tuple[str, Reader]]] = {}
    for name, read in distributions:
        readers.setdefault(normalized(name), []).append((name, read))
    found: dict[str, dict[tuple[str, str, str], Claim]] = {}
    for rivals in readers.values():
        texts = [read("entry_points.txt") for _, read in rivals]
        if not any(PREFIX in text for text in texts):
            continue
        told = ((index, _headers(read)) for index, (_, read) in enumerate(rivals))
        index, headers = next(((index, headers) for index, headers in told if headers), (0, {}))
        name, version = headers.get("Name", rivals[index][0]), headers.get("Version", "")
        for group, point, value in _entry_points(texts[index], name):
            # What a distribution says twice is one; so is what two of one name say alike.
            same = (normalized(name), point.lower(), value)
            found.setdefault(group, {}).setdefault(same, Claim(point, value, name, version))
    return {group: list(claims.values()) for group, claims in found.items()}


def _headers(read: Reader) -> dict[str, str]:
    text = read("METADATA") or read("PKG-INFO")
    return dict(_HEADER.findall(text.replace("\r", "").partition("\n\n")[0]))


def _entry_points(text: str, distribution: str) -> Iterator[tuple[str, str, str]]:
    """(group, name, value) of the lines in this library's groups."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
            continue
        name, equals, value = line.partition("=")
        if not group.startswith(PREFIX):
            continue
        if not equals:
            logger.warning("ignored the line %r in the entry points of %s", line, distribution)
            continue
        # 'module : Class [extra]' is an entry point too.
        yield group, name.strip(), "".join(value.partition("[")[0].split())
