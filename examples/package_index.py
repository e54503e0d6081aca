"""Index the packages installed in this environment in a data store, then ask the store about them.

    python examples/package_index.py                          # pulsards://, the embedded store: nothing to run
    python examples/package_index.py redis://127.0.0.1:6379   # the same program on Redis or Valkey

Every key stands under the namespace ``package-index:``; whatever else the database holds is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, distributions
from typing import NamedTuple

from store_core import PubSub, Store, StoreError, create_store

CONCURRENT = 32  # transactions under way at a time
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Package(NamedTuple):
    name: str
    version: str
    summary: str
    licence: str
    size: int
    keywords: set[str]
    classifiers: set[str]
    requires: set[str]


# Reading what is installed. Nothing here knows of a store.


def read_packages() -> list[Package]:
    found: dict[str, Package] = {}
    for distribution in distributions():
        if distribution.metadata and distribution.metadata["Name"]:  # a half-removed one has none
            package = read_package(distribution)
            found.setdefault(package.name, package)  # the first on sys.path is the one that is imported
    return [found[name] for name in sorted(found)]


def read_package(distribution: Distribution) -> Package:
    metadata = distribution.metadata
    keywords = metadata["Keywords"] or ""
    classifiers = set(metadata.get_all("Classifier") or ())
    licences = sorted(line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::"))
    licence = metadata["License-Expression"] or ", ".join(licences) or metadata["License"] or "unknown"
    required = [NAME.match(line) for line in distribution.requires or () if "extra ==" not in line]
    return Package(
        name=normalized(metadata["Name"]),
        version=metadata["Version"] or "",
        summary=metadata["Summary"] or "",
        licence=licence.strip().partition("\n")[0],  # some put the whole text there
        size=sum(file_sizes(distribution)),
        keywords={word.strip().lower() for word in keywords.split("," if "," in keywords else None)},
        classifiers=classifiers,
        requires={normalized(match[0]) for match in required if match},
    )


def file_sizes(distribution: Distribution) -> Iterator[int]:
    for file in distribution.files or ():
        if file.size is not None:
            yield file.size
        elif file.suffix != ".pyc":  # not in every RECORD; those come and go
            with suppress(OSError):
                yield file.locate().stat().st_size


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# Writing it to the store.


async def build_index(store: Store, packages: list[Package], progress: PubSub) -> None:
    room = asyncio.Semaphore(CONCURRENT)
    done = 0

    async def add_one(package: Package) -> None:
        nonlocal done
        async with room:
            await add(store, package)
        done += 1
        await progress.publish("progress", {"done": done, "total": len(packages)})

    await asyncio.gather(*map(add_one, packages))


async def add(store: Store, package: Package) -> None:
    name = package.name
    fields = [part for field, value in package._asdict().items() for part in (field, text(value))]
    async with store.transaction() as transaction:  # all of a package, or nothing of it
        transaction.execute("HSET", f"package:{name}", *fields)
        transaction.execute("ZADD", "sizes", package.size, name)
        transaction.execute("SADD", "licences", package.licence)
        transaction.execute("SADD", f"licence:{package.licence}", name)
        for keyword in package.keywords:
            transaction.execute("SADD", f"keyword:{keyword}", name)
        for classifier in package.classifiers:
            transaction.execute("SADD", f"classifier:{classifier}", name)
        for required in package.requires:
            transaction.execute("SADD", "required", required)
            transaction.execute("SADD", f"requirers:{required}", name)


def text(value: str | int | set[str]) -> str:
    return ", ".join(sorted(value)) if isinstance(value, set) else str(value)


async def show_progress(progress: PubSub) -> None:
    async for message in progress:
        done, total = message.data["done"], message.data["total"]
        if sys.stderr.isatty():
            print(f"\r[{'#' * (40 * done // total):40}] {done}/{total}", end="", file=sys.stderr, flush=True)
        if done == total:
            print("" if sys.stderr.isatty() else f"indexed {total} packages", file=sys.stderr)
            return


# Asking the store.


async def largest(store: Store, count: int) -> list[tuple[str, str, int]]:
    names = await store.execute("ZRANGE", "sizes", 0, count - 1, "REV")
    async with store.pipeline() as pipeline:  # one round trip for all of them
        for name in names:
            pipeline.execute("HMGET", f"package:{name}", "version", "size")
    return [(name, version, int(size)) for name, (version, size) in zip(names, pipeline.results or (), strict=True)]


async def set_sizes(store: Store, index: str, prefix: str) -> list[tuple[str, int]]:
    """The sets ``<prefix>:<name>`` of every name in an index, the largest first, ties by name."""
    names = sorted(await store.execute("SMEMBERS", index))
    async with store.pipeline() as pipeline:
        for name in names:
            pipeline.execute("SCARD", f"{prefix}:{name}")
    return sorted(zip(names, pipeline.results or (), strict=True), key=lambda pair: (-pair[1], pair[0]))


async def report(store: Store, wanted: str | None) -> None:
    print("The ten largest packages (bytes)")
    for name, version, size in await largest(store, 10):
        print(f"{size:>14,}  {name} {version}")
    print("\nPackages by licence")
    for licence, count in (await set_sizes(store, "licences", "licence"))[:10]:
        print(f"{count:>14}  {licence}")
    most_required = await set_sizes(store, "required", "requirers")
    name = normalized(wanted) if wanted else most_required[0][0]
    requirers = sorted(await store.execute("SMEMBERS", f"requirers:{name}"))
    print(f"\n{name} is required by {len(requirers)}: {', '.join(requirers) or 'nobody'}")


async def run(dsn: str, wanted: str | None) -> None:
    # A backend without namespaces refuses the parameter, so flush() can never reach anybody else's keys.
    async with create_store(dsn, namespace="package-index:", decode_responses=True) as store:
        await store.flush()
        async with store.pubsub("json") as progress:
            await progress.subscribe("progress")
            bar = asyncio.create_task(show_progress(progress))
            await build_index(store, read_packages(), progress)
            await asyncio.wait([bar], timeout=1)  # pub/sub may lose a message: do not wait for the last one for ever
        await report(store, wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description="Index the installed packages in a data store, and ask about them.")
    parser.add_argument("dsn", nargs="?", default="pulsards://", help="connection string (default: %(default)s)")
    parser.add_argument("--requires", metavar="NAME", help="who requires NAME (default: the package most required)")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.dsn, options.requires))
    except StoreError as error:
        sys.exit(f"package_index: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
