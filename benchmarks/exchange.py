"""Pushing and pulling documents beside the original's protocol, on the same gateway, over the same slow line.

    python -m benchmarks.exchange [--quick] [--documents 5000] [--size 20000] [--trip 10]

Two installations: real control databases, a real gateway in a process of its own, and a proxy between that adds
`--trip` milliseconds to a round trip. Ours is `project.exchange.work`, as a run in Dagster calls it: batches, gzip,
pages, every unit's outcome kept. The original's way is one call after another on one connection that stays open:
task-create, document-create, task-update-docid (its usages left out, in its favour); and for a pull the export in as
few answers as hold it, each row then written by itself. It keeps no status. `again` is ours with nothing new. The
original's way is measured whole, with `--quick` on a part and scaled. `peak` is the most memory of a process in MB, and
what it was before.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import exchange_original as original
from benchmarks.exchange_site import Site, contents, fill, two_installations
from sync_assets.project.exchange import work
from sync_assets.project.exchange_spec import Way
from sync_assets.store.control import PostgresStore

_PART = 200  # documents of the original's way with --quick


def main() -> None:
    """Measure and print."""
    options = _options()
    with two_installations(options.trip / 2000) as site:
        here = site.installation()
        repository = fill(here, options.documents, options.size)
        found = _measure(site, here, repository, options.documents, options.part or options.documents)
    _print(found, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"the original's way on {_PART} documents, scaled")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--size", type=int, default=20_000, help="bytes of a document")
    parser.add_argument("--trip", type=float, default=10, help="milliseconds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.part = min(_PART, options.documents) if options.quick else 0
    return options


def _measure(site: Site, here: PostgresStore, repository: int, documents: int, part: int) -> dict[str, float]:
    seconds: dict[str, float] = {"own before": _memory(), "gateway before": site.peak_of_gateway()}
    with _timed(seconds, "push"):
        _travel(site, here, "push", repository, documents)
    (theirs,) = _repositories(site)
    wanted = contents(here, repository)
    _same("push", contents(site.there, theirs), wanted)
    with _timed(seconds, "push again"):
        _travel(site, here, "push", repository, documents)
    _same("push again", contents(site.there, theirs), wanted)
    third = site.installation()
    with _timed(seconds, "pull"):
        _travel(site, third, "pull", theirs, documents)
    _same("pull", contents(third, 1), wanted)
    with _timed(seconds, "pull again"):
        _travel(site, third, "pull", theirs, documents)
    seconds |= {"own peak": _memory(), "gateway peak": site.peak_of_gateway()}
    _originally(site, here, (repository, theirs), documents, part, seconds)
    return seconds


def _originally(
    site: Site, here: PostgresStore, ids: tuple[int, int], documents: int, part: int, seconds: dict[str, float]
) -> None:
    scale = documents / part
    for name, way in (("original push", original.push), ("original pull", original.pull)):
        store, repository = (here, ids[0]) if way is original.push else (site.installation(), ids[1])
        with _timed(seconds, name):
            calls = way(site.url, site.key, store, repository, part)
        seconds[name] *= scale
        seconds[f"{name} calls"] = calls * scale


def _travel(site: Site, store: PostgresStore, way: Way, repository: int, documents: int) -> None:
    peer = site.peer
    (item,) = work.exchange(peer, work.orders(peer, way, [repository]), store=store, run_id="benchmark", tries=1)
    if not item.good or len(item.documents) != documents:
        raise SystemExit(f"{way}: {item.trouble or f'{len(item.documents)} of {documents} documents'}")


def _repositories(site: Site) -> list[int]:
    return [one.repository_id for one in work.remote_repositories(site.peer)]


def _same(what: str, found: tuple[int, str], wanted: tuple[int, str]) -> None:
    if found != wanted:
        raise SystemExit(f"{what}: {found[0]} documents arrived, of {wanted[0]}, or other ones")


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = time.monotonic() - began


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _print(found: dict[str, float], options: argparse.Namespace) -> None:
    part = f"scaled from {options.part}" if options.part else "measured"
    print(f"{options.documents:,} documents of {options.size:,} bytes, {options.trip:g} ms a round trip")
    print(f"{'':14}{'seconds':>9}{'documents/s':>13}{'ratio':>7}")
    for name in ("push", "push again", "original push", "pull", "pull again", "original pull"):
        way, took = name.split()[-1] if name.startswith("original") else name.split()[0], found[name]
        ratio = "" if name.startswith("original") else f"{found[f'original {way}'] / took:.1f}"
        more = f"  {part}, {found[f'{name} calls']:,.0f} calls" if name.startswith("original") else ""
        print(f"{name:14}{took:9.1f}{options.documents / took:13,.0f}{ratio:>7}{more}")
    show: Callable[[str], str] = lambda who: f"{who} {found[f'{who} peak']:.0f} ({found[f'{who} before']:.0f} before)"  # noqa: E731
    print(f"peak MB: {show('own')}, {show('gateway')}")


if __name__ == "__main__":
    main()
