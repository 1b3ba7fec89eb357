"""The `sync-assets` command: names and options only. What a command does is in `cli.work`, loaded when it is called.

``--help`` must stay fast, so nothing but click is imported here. `connections`, `fleet` and `report` have
modules of their own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from sync_assets.cli.connections import connections
from sync_assets.cli.exchange import exchange
from sync_assets.cli.fleet import fleet, sessions
from sync_assets.cli.gateway import keys, serve, users
from sync_assets.cli.report import report

_MODES = ("full", "incremental", "overwrite", "clone", "append")
_EPILOG = """\
Exit codes: 0 done; 1 unexpected error (a bug: please report it); 2 stop, a person must act; 3 passing trouble, try
again later; 4 done, but rows were rejected and set aside (see: sync-assets rejects SYNC).

The project is the YAML below sync_assets/defs, or below the folder that SYNC_ASSETS_DEFS names. A .env file in the
project's root is read. SYNC_ASSETS_DEBUG=1 shows where an error came from.
"""
_TABLE = "Only this table of a replica, schema.table or a pattern; may be given several times."
_PARTITION = "KEY, FIRST..LAST or latest; may be given several times."


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="sync-assets", message="%(prog)s %(version)s")
def root() -> None:
    """Keep data in step: SQL databases to Feishu Bitable boards and to other databases; look after fleets of them."""
    from sync_assets.store import redaction

    redaction.install()  # for what libraries log; our own messages hold no secret


@root.command(short_help="Try the connections; say what is missing.")
@click.argument("name", required=False)
def check(name: str | None) -> int:
    """Try the connections and fleets (or one) and the tables, queries and boards that use them; say what to do. Writes
    nothing."""
    from sync_assets.cli import work

    return work.check(name)


@root.command()
def syncs() -> int:
    """List the syncs and replicas of the project."""
    from sync_assets.cli import work

    return work.syncs()


@root.command(short_help="Show what a run would do.")
@click.argument("sync")
@click.option("--table", "-t", "tables", multiple=True, help=_TABLE)
@click.option("--partition", "-p", help="KEY or latest.")
@click.option("--mode", type=click.Choice(_MODES), help="Another mode than the sync's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def plan(sync: str, tables: tuple[str, ...], partition: str | None, mode: str | None, as_json: bool) -> int:
    """Show what a run of a sync or replica would do, with counts and samples. Writes nothing."""
    from sync_assets.cli import work

    return work.plan(sync, tables, partition, mode, as_json)


@root.command(short_help="Run a sync, a replica, or a YAML file.")
@click.argument("what", metavar="SYNC|REPLICA|FILE.yaml")
@click.option("--table", "-t", "tables", multiple=True, help=_TABLE)
@click.option("--partition", "-p", "partitions", multiple=True, help=_PARTITION)
@click.option("--mode", type=click.Choice(_MODES), help="Another mode than the sync's own.")
@click.option("--accept-empty", is_flag=True, help="Go on although the source or the board looks unexpectedly empty.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    what: str,
    tables: tuple[str, ...],
    partitions: tuple[str, ...],
    mode: str | None,
    accept_empty: bool,
    as_json: bool,
) -> int:
    """Run one sync or replica of the project, or all of a YAML file outside of it. REPLICA:TABLE is one table."""
    from sync_assets.cli import work

    return work.run(what, tables, partitions, mode, accept_empty, as_json)


@root.command(short_help="Compare whole tables with their sources.")
@click.argument("what", metavar="SYNC|REPLICA")
@click.option("--table", "-t", "tables", multiple=True, help=_TABLE)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify(what: str, tables: tuple[str, ...], as_json: bool) -> int:
    """Compare whole tables on both sides by digest, and name the ranges that differ. Writes nothing."""
    from sync_assets.cli import tables as work

    return work.verify(what, tables, as_json)


@root.command(short_help="Ship only the rows that differ.")
@click.argument("what", metavar="SYNC|REPLICA")
@click.option("--table", "-t", "tables", multiple=True, help=_TABLE)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
def repair(what: str, tables: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Compare whole tables, show what differs, ask, and ship only that."""
    from sync_assets.cli import tables as work

    return work.repair(what, tables, yes, as_json)


@root.command(short_help="Copy a replica back into its source.")
@click.argument("replica")
@click.option("--table", "-t", "tables", multiple=True, help=_TABLE)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--accept-deletes", is_flag=True, help="Delete more rows than the delete guard allows.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
def restore(replica: str, tables: tuple[str, ...], yes: bool, accept_deletes: bool, as_json: bool) -> int:
    """Copy a replica back into its source: shows the plan, asks, ships only what differs."""
    from sync_assets.cli import tables as work

    return work.copy_back(replica, tables, yes, accept_deletes, as_json)


@root.command(short_help="List what ran, and how it ended.")
@click.argument("what", metavar="[SYNC|REPLICA]", required=False)
@click.option("--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def runs(what: str | None, limit: int, as_json: bool) -> int:
    """List the newest runs with their beginning, end, counts and errors. A run whose process died is called lost."""
    from sync_assets.cli import tables as work

    return work.runs(what, limit, as_json)


@root.command(short_help="List rejected rows, or send them again.")
@click.argument("sync")
@click.argument("keys", nargs=-1)
@click.option("--resend", is_flag=True, help="Try them again now: those named, or all.")
def rejects(sync: str, keys: tuple[str, ...], resend: bool) -> int:
    """List the rows that were set aside, with the reasons; send them again."""
    from sync_assets.cli import work

    return work.rejects(sync, keys, resend)


@root.command(short_help="Start the control database.")
def up() -> int:
    """Start the embedded PostgreSQL (unless you use your own) and bring the control database up to date."""
    from sync_assets.cli import work

    return work.up()


@root.command(short_help="Stop the control database.")
def down() -> int:
    """Stop the embedded PostgreSQL; a server of your own is left running."""
    from sync_assets.cli import work

    return work.down()


@root.command(short_help="Say whether the control database runs.")
def status() -> int:
    """Say whether the control database runs, and where."""
    from sync_assets.cli import work

    return work.status()


@root.command()
@click.option("--once", is_flag=True, help="Without the UI: check the result, print it and end.")
def demo(once: bool) -> int:
    """A small shop, two boards and the Dagster UI, all on this machine."""
    from sync_assets.cli import work

    return work.demo(once)


root.add_command(connections)
root.add_command(fleet)
root.add_command(exchange)
root.add_command(report)
root.add_command(sessions)
root.add_command(serve)
root.add_command(keys)
root.add_command(users)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: ends the process with one of the documented exit codes."""
    sys.exit(call(sys.argv[1:] if arguments is None else arguments))


def call(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. An expected error becomes one block on standard error."""
    from sync_assets.cli.show import forgiving

    forgiving(sys.stdout, sys.stderr)
    _read_env_file()
    try:
        return int(root.main(list(arguments), prog_name="sync-assets", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        return 130
    except Exception as error:  # the outermost boundary: a traceback is no message to a user
        return _told(error)


def _told(error: Exception) -> int:
    from sync_assets.cli import exits, show
    from sync_assets.engine.errors import SyncError

    if os.environ.get("SYNC_ASSETS_DEBUG"):
        import traceback

        from sync_assets.store.redaction import redact

        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    if isinstance(error, SyncError):
        show.error_block(error)
        return exits.of_error(error)
    # The text of an unexpected error may quote a row or a secret: its type and the place are enough to report it.
    sys.stderr.write(f"unexpected error: {type(error).__name__}\n")
    sys.stderr.write("  -> this is a bug: please report it; SYNC_ASSETS_DEBUG=1 shows where it comes from\n")
    return exits.UNEXPECTED


def _read_env_file() -> None:
    """Variables of `.env` in the project's root, as Dagster reads them; what is set already stays."""
    from sync_assets.store.home import project_root

    file = project_root() / ".env"
    if file.is_file():
        from dotenv import load_dotenv

        load_dotenv(file)
