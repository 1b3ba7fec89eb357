"""What YAML costs: 500 syncs in 20 files against the same assets from a plain Python factory.

    python -m benchmarks.definitions [--syncs 500] [--files 20] [--repeat 5]

Each measurement is a process of its own, the three kinds in turn. `yaml` is what Dagster loads from `sync_assets`,
`factory` makes the same assets, sources, checks, partitions and schedules in Python without any YAML, `bare` only the
boards and their sources with nothing on them. `build` runs from after `import dagster` until the repository is made;
`process` is the whole process, which every run pays. Then: is every wrong field reported with its line, and what does
a process load that it does not need.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

KINDS = ("yaml", "factory", "bare")
HIGHEST = 2.5  # aim: build time of yaml over the factory's
HEAVY = ("psycopg", "pymysql", "httpx", "sqlalchemy", "alembic", "pandas", "pyarrow", "starlette")
CONNECTIONS = """\
type: sync_assets.components.Connections
attributes:
  connections:
    - {name: shop, type: mysql, host: db.example, database: shop, user: reader, password: "env:SHOP_PASSWORD"}
    - {name: feishu, type: feishu, app_id: cli_a1, app_secret: "env:FEISHU_SECRET"}
"""
HEAD = """\
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  schedule: "0 9 * * *"
  syncs:
"""
SYNC = """\
    - name: {name}
      query: >
        select order_id, status, amount, updated_at from {name}_rows
        where updated_at >= :start and updated_at < :end
      bitable: https://acme.feishu.cn/base/bascn{file}?table=tbl{at}
      mode: {mode}
      key: [order_id]
      field_types: intelligence
      partitions: {{every: day, start: 2026-10-01}}
"""


def write_project(folder: Path, syncs: int, files: int, mode: str = "full") -> None:
    """The YAML of the project that is loaded."""
    texts = {"connections": CONNECTIONS}
    for file in range(files):
        names = [(f"sync_{file}_{at}", at) for at in range(syncs // files)]
        texts[f"app_{file}"] = HEAD + "".join(SYNC.format(name=n, file=file, at=at, mode=mode) for n, at in names)
    for name, text in texts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "defs.yaml").write_text(text, encoding="utf-8")


# -- what a measured process does -------------------------------------------------------------------------------


def measured(kind: str, folder: Path, syncs: int, files: int) -> dict[str, Any]:
    """Load in this process and say what it took."""
    import dagster  # what both sides pay is not what is measured

    started = time.perf_counter()
    definitions = _yaml(folder) if kind == "yaml" else _factory(syncs, files, bare=kind == "bare")
    keys = list(definitions.get_repository_def().asset_graph.get_all_asset_keys())
    return {
        "build": time.perf_counter() - started,
        "assets": len(keys),
        "checks": len(definitions.get_repository_def().asset_graph.asset_check_keys),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "heavy": [name for name in HEAVY if name in sys.modules],
        "dagster": dagster.__version__,
    }


def _yaml(folder: Path) -> Any:
    os.environ["SYNC_ASSETS_DEFS"] = str(folder)
    import sync_assets.definitions

    return sync_assets.definitions.defs()


def _factory(syncs: int, files: int, *, bare: bool) -> Any:
    from benchmarks.plain_factory import definitions

    return definitions(syncs, files, bare=bare)


# -- around it --------------------------------------------------------------------------------------------------


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "defs"
        if options.child:
            print(json.dumps(measured(options.child, Path(options.folder), options.syncs, options.files)))
            return 0
        write_project(folder, options.syncs, options.files)
        found = _measure(folder, options)
        good = _tell(found)
        return 0 if good and _faults(Path(root) / "wrong", options) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--syncs", type=int, default=500)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(folder: Path, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for _ in range(options.repeat):
        for kind in KINDS:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.definitions", "--child", kind]
            command += ["--folder", str(folder), "--syncs", str(options.syncs), "--files", str(options.files)]
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            took = time.perf_counter() - started
            found[kind].append(json.loads(done.stdout.splitlines()[-1]) | {"process": took})
    return found


def _median(found: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(one[name] for one in found))


def _tell(found: dict[str, list[dict[str, Any]]]) -> bool:
    print(f"{'':<9}{'assets':>8}{'checks':>8}{'build s':>10}{'process s':>11}{'peak MB':>9}")
    for kind, all_of_it in found.items():
        one = all_of_it[0]
        times = f"{_median(all_of_it, 'build'):>10.2f}{_median(all_of_it, 'process'):>11.2f}"
        print(f"{kind:<9}{one['assets']:>8}{one['checks']:>8}{times}{_median(all_of_it, 'memory'):>9.0f}")
    for against in ("factory", "bare"):
        build = _median(found["yaml"], "build") / _median(found[against], "build")
        process = _median(found["yaml"], "process") / _median(found[against], "process")
        print(f"yaml over {against}: {build:.2f} of the build time, {process:.2f} of the process (aim: {HIGHEST})")
    heavy: list[str] = found["yaml"][0]["heavy"]
    print(f"drivers and libraries loaded without need: {', '.join(heavy) or 'none'}")
    return not heavy and _median(found["yaml"], "build") <= HIGHEST * _median(found["factory"], "build")


def _faults(folder: Path, options: argparse.Namespace) -> bool:
    from sync_assets.project.load import ProjectInvalid, load_project

    count = options.syncs // options.files * options.files
    write_project(folder, options.syncs, options.files)
    started = time.perf_counter()
    load_project(folder)
    right = time.perf_counter() - started
    write_project(folder, options.syncs, options.files, mode="incrementl")
    started = time.perf_counter()
    try:
        load_project(folder)
    except ProjectInvalid as invalid:
        took, faults = time.perf_counter() - started, invalid.faults
    else:
        return False
    placed = sum("mode: incrementl" in _line(fault.path, fault.line) for fault in faults)
    print(f"the YAML alone: read and checked in {right:.3f} s; with a wrong field in every sync in {took:.3f} s")
    print(f"wrong fields: {count}, reported: {len(faults)}, with the right file and line: {placed}")
    return bool(placed == len(faults) == count)


def _line(path: str, line: int) -> str:
    return Path(path).read_text(encoding="utf-8").splitlines()[line - 1]


if __name__ == "__main__":
    sys.exit(main())
