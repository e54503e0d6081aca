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
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from typing import NamedTuple

from store_core import PubSub, Store, StoreError, create_store

CONCURRENT = 32  # transactions under way at a time
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Package(NamedTuple):
    name: str
    size: int  # bytes, as its RECORD has them
    fields: dict[str, str]
    sets: dict[str, set[str]]  # {"licence": {"MIT"}} puts it into the set 'licence:MIT'


def read_packages() -> list[Package]:
    """What is installed; nothing here knows of a store."""
    found = {package.name: package for package in reversed([*map(read_package, distributions())])}
    # Of two with one name the first on sys.path is imported; one without a name is uninstalled by halves.
    return [found[name] for name in sorted(found) if name]


def read_package(distribution: Distribution) -> Package:
    headers = HeaderParser().parsestr(distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "")
    classifiers = {str(line) for line in headers.get_all("Classifier", ())}
    needed = [str(line) for line in headers.get_all("Requires-Dist", ()) if "extra ==" not in line]
    requires = {normalized(match[0]) for line in needed if (match := NAME.match(line))}
    licences = ", ".join(sorted(line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")))
    licence = headers["License-Expression"] or licences or (headers["License"] or "unknown").partition("\n")[0]
    keywords = headers["Keywords"] or ""
    words = (word.strip().lower() for word in keywords.split("," if "," in keywords else None))
    fields = {
        "name": normalized(headers["Name"] or ""),
        "version": headers["Version"] or "",
        "summary": headers["Summary"] or "",
        "licence": licence,
        "size": str(sum(file.size or 0 for file in distribution.files or ())),
        "requires": ", ".join(sorted(requires)),
    }
    sets = {
        "licence": {licence},
        "keyword": set(filter(None, words)),
        "classifier": classifiers,
        "requirers": requires,
    }
    return Package(fields["name"], int(fields["size"]), fields, sets)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


async def build_index(store: Store, packages: list[Package], progress: PubSub) -> None:
    room = asyncio.Semaphore(CONCURRENT)
    done = 0

    async def add(package: Package) -> None:
        nonlocal done
        async with room, store.transaction() as transaction:  # all of a package, or nothing of it
            fields = [part for field in package.fields.items() for part in field]
            transaction.execute("HSET", f"package:{package.name}", *fields)
            transaction.execute("ZADD", "sizes", package.size, package.name)
            for kind, values in package.sets.items():
                for value in values:
                    transaction.execute("SADD", kind, value)
                    transaction.execute("SADD", f"{kind}:{value}", package.name)
        done += 1
        await progress.publish("progress", {"done": done, "total": len(packages)})

    await asyncio.gather(*map(add, packages))


async def show_progress(progress: PubSub) -> None:
    terminal = sys.stderr.isatty()
    async for message in progress:
        done, total = message.data["done"], message.data["total"]
        if terminal:
            print(f"\r[{'#' * (40 * done // total):40}] {done}/{total}", end="", file=sys.stderr, flush=True)
        if done == total:
            print("" if terminal else f"indexed {total} packages", file=sys.stderr)
            return


async def set_sizes(store: Store, kind: str) -> list[tuple[str, int]]:
    """The sets ``<kind>:<value>``, the largest first, ties by name."""
    values = sorted(await store.execute("SMEMBERS", kind))
    async with store.pipeline() as pipeline:
        for value in values:
            pipeline.execute("SCARD", f"{kind}:{value}")
    return sorted(zip(values, pipeline.results or (), strict=True), key=lambda pair: (-pair[1], pair[0]))


async def report(store: Store, wanted: str | None) -> None:
    print("The ten largest packages, in bytes")
    names = await store.execute("ZRANGE", "sizes", 0, 9, "REV")
    async with store.pipeline() as pipeline:  # one round trip for all of them
        for name in names:
            pipeline.execute("HMGET", f"package:{name}", "size", "name", "version")
    for size, name, version in pipeline.results or ():
        print(f"{int(size):>14,}  {name} {version}")
    print("\nPackages by licence")
    for licence, count in (await set_sizes(store, "licence"))[:10]:
        print(f"{count:>14}  {licence}")
    most_required = await set_sizes(store, "requirers") or [("store-core", 0)]
    name = normalized(wanted or most_required[0][0])
    requirers = sorted(await store.execute("SMEMBERS", f"requirers:{name}"))
    print(f"\n{name} is required by {len(requirers)}: {', '.join(requirers) or 'nobody'}")


async def run(dsn: str, wanted: str | None) -> None:
    # A backend without namespaces refuses the parameter, so flush() never reaches anybody else's keys.
    async with create_store(dsn, namespace="package-index:", decode_responses=True) as store:
        await store.flush()
        async with store.pubsub("json") as progress:
            await progress.subscribe("progress")
            bar = asyncio.create_task(show_progress(progress))
            await build_index(store, read_packages(), progress)
            await asyncio.wait([bar], timeout=1)  # pub/sub may lose the last message: never wait for it for ever
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


if __name__ == "__main__":
    main()
