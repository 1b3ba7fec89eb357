"""`sync-assets report`: a fleet's accounts or capacity as one file for people who were not there."""

from __future__ import annotations

import sys
from typing import Literal

import click


@click.command(short_help="Write a fleet's accounts or capacity as a file.")
@click.argument("name", metavar="FLEET")
@click.argument("what", type=click.Choice(["accounts", "capacity"]))
@click.option("--format", "form", type=click.Choice(["html", "csv"]), default="html", help="Default: html.")
@click.option("--out", type=click.Path(dir_okay=False), help="The file; without it, standard output.")
@click.option("--on", "day", help="YYYY-MM-DD, in the fleet's time zone: the end of that day. Default: the newest.")
def report(
    name: str, what: Literal["accounts", "capacity"], form: Literal["html", "csv"], out: str | None, day: str | None
) -> int:
    """Write what is known of a fleet as one HTML file that needs nothing else, or as CSV for a spreadsheet. What is not
    known or not complete says so. Asks no server."""
    from pathlib import Path

    from sync_assets.project.fleet.report import making

    if out is not None:
        making.look_at(Path(out))
    text = _text(name, what, form, day)
    if out is not None:
        making.put(Path(out), text)
        print(f"written: {Path(out)}")
        return 0
    buffer = getattr(sys.stdout, "buffer", None)  # the terminal's encoding might not know every name
    if buffer is None:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        buffer.write(text.encode())
        buffer.flush()
    return 0


def _text(name: str, what: Literal["accounts", "capacity"], form: Literal["html", "csv"], day: str | None) -> str:
    from datetime import UTC, date, datetime

    from sync_assets.cli.fleet_asking import moment_of
    from sync_assets.cli.work import project
    from sync_assets.project.fleet.report.making import report as made
    from sync_assets.store.control import open_store

    found, now = project(), datetime.now(UTC)
    fleet = found.fleet(name)
    moment_of(fleet, day, now)  # refuses what is no day
    with open_store() as store:
        return made(found, fleet, store, what, form, now, date.fromisoformat(day) if day else None)
