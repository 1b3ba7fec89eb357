"""A report from the control database to a file: which figures, in which form, and a file that is there whole or not."""

from __future__ import annotations

import os
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from sync_assets.engine.errors import Stop
from sync_assets.fleet.periods import ended_at, local_day, period_of
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.report import accounts, accounts_page, capacity, capacity_page, table_file
from sync_assets.project.fleet.report.text import moment
from sync_assets.store.control import PostgresStore

What = Literal["accounts", "capacity"]
Form = Literal["html", "csv"]


def report(
    project: Project,
    fleet: PlacedFleet,
    store: PostgresStore,
    what: What,
    form: Form,
    now: datetime,
    day: date | None = None,
) -> str:
    """The text of a report, as of now or of the end of a day. Raises `Stop` where nothing is known, and `Retry`."""
    zone = fleet.time_zone
    today = local_day(now, zone)
    words = f"Written on {moment(now, zone)}; times are of {zone}."
    if what == "capacity":
        sizes = capacity.capacity_report(project, fleet, store, today, day)
        return capacity_page.capacity_page(sizes, words) if form == "html" else table_file.capacity_table(sizes)
    past = day is not None and day < today
    at = ended_at(period_of("day", day), zone) if day is not None and past else now
    found = accounts.account_report(project, fleet, store, at, day or today, past)
    return accounts_page.accounts_page(found, words) if form == "html" else table_file.accounts_table(found)


def look_at(path: Path) -> None:
    """That its folder is there, before anybody works for it. Raises `Stop`."""
    if not path.parent.is_dir():
        raise _unwritable(path, "there is no such folder")


def put(path: Path, text: str) -> None:
    """Write a file whole, in place of one that is there; readable for its owner alone. Raises `Stop`."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        raise _unwritable(path, str(error.strerror)) from error


def _unwritable(path: Path, why: str) -> Stop:
    hint = "name a folder that exists and may be written"
    return Stop(f"{path} cannot be written: {why}", hint=hint, code="file")
