"""Who takes part in `benchmarks.copy`: how each is found, how it is asked, what it needs to be ready beforehand.

A contender is one command line; pipes are what a person would type into a shell. Each gets an empty target, with or
without the table in it, whichever suits it best. Knows nothing of measuring.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.copy_case import Case
from sync_assets.testing.servers import Server

Command = Callable[[Case], Sequence[str]]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contender:
    """`pairs` and `shapes` say where it takes part. `tables`: whether it finds the target's tables made."""

    name: str
    pairs: tuple[str, ...]
    command: Command
    needs: Callable[[Case], str] = lambda case: ""  # the command that installs what is missing; empty: all there
    shapes: tuple[str, ...] = ("wide", "w13", "narrow", "small")
    tables: bool = False
    warm_up: bool = False  # Python writes its bytecode when it first runs


def environment(case: Case) -> dict[str, str]:
    """That of the caller, with the servers' own programs first and what ours needs."""
    server = next(s for s in (case.source, case.target) if s.kind == "postgres")
    return {
        **control(server, case.folder), "PATH": f"{case.words()['programs']}{os.pathsep}{os.environ['PATH']}",
        "BENCH_SOURCE_PASSWORD": case.source.password, "BENCH_TARGET_PASSWORD": case.target.password,
    }  # fmt: skip


def control(server: Server, folder: Path) -> dict[str, str]:
    """Where ours keeps its leases and its history."""
    folder.joinpath("defs").mkdir(exist_ok=True)
    return {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode"),
        "SYNC_ASSETS_PG_HOST": server.host, "SYNC_ASSETS_PG_PORT": str(server.port),
        "SYNC_ASSETS_PG_USER": server.user, "SYNC_ASSETS_PG_PASSWORD": server.password,
        "SYNC_ASSETS_HOME": str(folder), "SYNC_ASSETS_DEFS": str(folder / "defs"),
    }  # fmt: skip


def shell(text: str) -> Command:
    """A pipe of programs. Every part must end well."""
    return lambda case: ["bash", "-o", "pipefail", "-c", text.format(**case.words())]


# -- ours


def ours(streams: int, *, proof: bool, rows_only: bool, changes: str = "auto") -> Command:
    """`sync-assets run` of a replica in a file of its own. `rows_only`: into tables that are there, as the pipes do."""

    def command(case: Case) -> Sequence[str]:
        path = case.folder / "ours.yaml"
        path.write_text("\n---\n".join(map(json.dumps, _yaml(case, streams, proof, rows_only, changes))))
        return [sys.executable, "-m", "sync_assets.cli", "run", str(path)]

    return command


def _yaml(case: Case, streams: int, proof: bool, rows_only: bool, changes: str) -> list[dict[str, object]]:
    """Two documents; JSON is YAML as well."""
    connections = [
        {"type": s.kind, "name": f"bench_{side}", "host": s.host, "port": s.port, "database": case.database,
         "user": s.user, "password": f"env:BENCH_{side.upper()}_PASSWORD", "tls": "off"}
        for side, s in (("source", case.source), ("target", case.target))
    ]  # fmt: skip
    replica: dict[str, object] = {
        "name": "bench", "source": "bench_source", "target": "bench_target", "tables": ["*"], "mode": "clone",
        "streams": streams, "proof": "checksum" if proof else "none", "changes": changes,
    }  # fmt: skip
    if rows_only:
        replica |= {"schema_changes": "ignore", "create": False}
    return [
        {"type": "sync_assets.components.Connections", "attributes": {"connections": connections}},
        {"type": "sync_assets.components.DatabaseReplica", "attributes": replica},
    ]


OURS = tuple(
    Contender(
        f"sync_assets, {streams} stream{'s' * (streams > 1)}, {words}", ("pg-pg", "my-pg", "pg-my"),
        ours(streams, proof=proof, rows_only=rows_only), tables=rows_only, warm_up=True,
    )
    for streams, words, proof, rows_only in (
        (1, "rows only", False, True), (4, "rows only", False, True), (4, "rows and proof", True, True),
        (4, "table, key and proof", True, False),
    )
)  # fmt: skip

# -- pipes and files, the floors

_PSQL = "PGPASSWORD={{{side}_password}} psql -q -h 127.0.0.1 -p {{{side}_port}} -U boss -d {{database}} -c"
_FROM, _TO = (_PSQL.format(side=side) for side in ("source", "target"))
_MYSQL = ("mysql -h127.0.0.1 -P{target_port} -uboss -p{target_password} --default-character-set=utf8mb4"
          " --local-infile=1 {database} -e")  # fmt: skip
_LOAD = "\"set time_zone='+00:00'; load data local infile '{file}' into table {{table}} character set utf8mb4\""
_OUT = _FROM + " \"set timezone='UTC'; copy (select {columns} from {table}) to stdout\""


def _pipe_each(case: Case) -> Sequence[str]:
    one = f'{_FROM} "copy $t to stdout (format binary)" | {_TO} "copy $t from stdin (format binary)"'
    return shell(f"for t in {' '.join(case.tables)}; do {one} || exit 1; done")(case)


def _load_pipe(case: Case) -> Sequence[str]:
    return shell(f"{_text_out(case)} | {_MYSQL} {_LOAD.format(file='/dev/stdin')}")(case)


def _text_out(case: Case) -> str:
    """COPY text as LOAD DATA understands it: no `t` and `f`, no offsets of zones."""
    special = {"boolean": "{}::int", "timestamptz(6)": "{}::timestamp"}
    columns = ", ".join(special.get(c.postgres, "{}").format(c.name) for c in case.columns)
    return _OUT.replace("{columns}", columns)


def _ready_file(case: Case) -> Sequence[str]:
    return shell(f"{_MYSQL} {_LOAD.format(file='{folder}/ready')}")(case)


def _ingest(case: Case) -> Sequence[str]:
    return shell(f"{_TO} \"\\copy {{table}} from '{{folder}}/ready' (format binary)\"")(case)


def prepare_file(case: Case) -> Sequence[str]:
    """Writes the file that the bare ingests read."""
    if case.target.kind == "mysql":
        return shell(f"{_text_out(case)} > {{folder}}/ready")(case)
    side = "source" if case.source.kind == "postgres" else "target"  # from MySQL: what was copied before is the file
    command = _PSQL.format(side=side)
    return shell(f'{command} "copy {{table}} to stdout (format binary)" > {{folder}}/ready')(case)


PIPE = Contender("psql binary pipe", ("pg-pg",), _pipe_each, tables=True)
INGEST = Contender("COPY BINARY of a ready file", ("my-pg",), _ingest, shapes=("wide", "w13", "narrow"), tables=True)
LOAD_PIPE = Contender("psql COPY | LOAD DATA", ("pg-my",), _load_pipe, shapes=("w13", "narrow"), tables=True)
READY = Contender("LOAD DATA of a ready file", ("pg-my",), _ready_file, shapes=("w13", "narrow"), tables=True)

# -- peers


def _program(name: str, install: str) -> Callable[[Case], str]:
    return lambda case: "" if _found(case, name) else install


def _working(name: str, install: str) -> Callable[[Case], str]:
    """A program that may be only the shell of one that it would have to download."""

    def needs(case: Case) -> str:
        found = _found(case, name)
        return "" if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0 else install

    return needs


def _found(case: Case, name: str) -> str | None:
    return (shutil.which(name, path=str(case.peers / "bin")) if case.peers else None) or shutil.which(name)


def _python_with(module: str, install: str) -> Callable[[Case], str]:
    """The interpreter of the peers' environment must have `module`."""

    def needs(case: Case) -> str:
        folders = sorted(case.peers.glob("lib/python3*/site-packages")) if case.peers else []
        return "" if any((f / module).exists() for f in folders) else install

    return needs


def _peer(case: Case, name: str) -> str:
    return _found(case, name) or name


def _script(name: str) -> Command:
    """A script of ours under the peers' interpreter; -P, or `copy.py` beside it would stand in for Python's own."""
    return lambda case: [_peer(case, "python"), "-P", str(HERE / f"copy_peer_{name}.py"), json.dumps({
        "source": case.url(case.source), "target": case.url(case.target), "tables": case.tables,
        "folder": str(case.folder), "source_schema": "public" if case.source.kind == "postgres" else case.database,
    })]  # fmt: skip


def _dump(case: Case) -> Sequence[str]:
    return shell(
        "rm -rf {folder}/dump && pg_dump -Fd -j4 -Z0 -f {folder}/dump -d {source} && "
        "pg_restore -j4 --no-owner -d {target} {folder}/dump"
    )(case)


def _pgcopydb(case: Case) -> Sequence[str]:
    return shell(
        "rm -rf {folder}/pgcopydb && pgcopydb clone --table-jobs 4 --index-jobs 4 --no-owner --no-acl --skip-extensions"
        " --dir {folder}/pgcopydb --source {source} --target {target}"
    )(case)


def _pgloader(case: Case) -> Sequence[str]:
    """MySQL's JSON, booleans and 36-character texts by rules of cast, so that the types are those of the others."""
    load = case.folder / "pgloader.load"
    load.write_text(
        f"load database from {case.url(case.source)} into {case.url(case.target)}\n"
        " with include drop, create tables, create no indexes, no foreign keys, reset no sequences,\n"
        " workers = 4, concurrency = 1, prefetch rows = 10000\n"
        f" alter schema '{case.database}' rename to 'public';\n"
    )
    return ["pgloader", str(load)]


def _sling(case: Case) -> Sequence[str]:
    schema = "public" if case.source.kind == "postgres" else case.database
    target = "public" if case.target.kind == "postgres" else case.database
    each = (
        f"sling run --src-conn '{case.url(case.source)}?sslmode=disable' --src-stream {schema}.$t "
        f"--tgt-conn '{case.url(case.target)}?sslmode=disable' --tgt-object {target}.$t --mode full-refresh"
    )
    return ["bash", "-c", f"for t in {' '.join(case.tables)}; do {each.replace('sling', _peer(case, 'sling'), 1)} "
            "|| exit 1; done"]  # fmt: skip


def _ingestr(case: Case) -> Sequence[str]:
    schema = "public" if case.source.kind == "postgres" else case.database
    return [_peer(case, "ingestr"), "ingest", "--source-uri", case.url(case.source), "--source-table",
            f"{schema}.{case.shape}", "--dest-uri", case.url(case.target), "--dest-table", f"public.{case.shape}",
            "--yes", "--progress", "log"]  # fmt: skip


_DUCKDB = "pip install duckdb==1.5.5 duckdb-extension-postgres-scanner duckdb-extension-mysql-scanner"
PEERS = (
    Contender("pgcopydb, 4 jobs", ("pg-pg",), _pgcopydb, _program("pgcopydb", "apt-get install pgcopydb")),
    Contender("pg_dump -j4, pg_restore -j4", ("pg-pg",), _dump),
    Contender("pgloader, 4 workers", ("my-pg",), _pgloader, _program("pgloader", "apt-get install pgloader")),
    Contender("DuckDB", ("pg-pg", "my-pg", "pg-my"), _script("duckdb"), _python_with("duckdb", _DUCKDB), tables=True),
    Contender("dlt, connectorx", ("pg-pg", "my-pg"), _script("dlt"),
              _python_with("dlt", "pip install 'dlt[postgres,sql_database]' connectorx pyarrow pymysql"),
              shapes=("wide", "w13", "narrow")),
    Contender("sling", ("pg-pg", "my-pg", "pg-my"), _sling, _working("sling", "pip install sling"),
              shapes=("wide", "w13", "narrow")),
    Contender("ingestr 0.15.9", ("pg-pg", "my-pg"), _ingestr, _program("ingestr", "pip install ingestr==0.15.9"),
              shapes=("wide", "w13", "narrow")),
)  # fmt: skip

FLOORS = {"pg-pg": PIPE, "my-pg": INGEST, "pg-my": LOAD_PIPE}
ALL = (*OURS, PIPE, INGEST, LOAD_PIPE, READY, *PEERS)
