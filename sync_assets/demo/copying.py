"""The third act: the shop is copied into the warehouse, followed, damaged by hand, and repaired.

Runs go through Dagster; verifying and repairing through the commands, as a user would. Must not know how rows travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sync_assets.demo import commands, warehouse
from sync_assets.demo.dagster_api import Dagster
from sync_assets.demo.deployment import COPY, Deployment
from sync_assets.demo.shop import TABLES
from sync_assets.demo.warehouse import Warehouse

ASSETS = {table: ("warehouse", warehouse.SCHEMA, table) for table in TABLES}
EQUAL, DIFFERENT = 0, 2  # exit codes of `sync-assets verify`
_CHANGES = ("created", "updated", "deleted")


@dataclass(frozen=True, slots=True)
class Copying:
    """The copy and those who work on it."""

    dagster: Dagster
    copy: Warehouse
    files: Deployment
    say: Callable[[str], None]

    def start(self, first: str, last: str) -> str:
        """Launch one run of all tables, those with partitions from `first` to `last`; its id."""
        return self.dagster.materialize_all(list(ASSETS.values()), first, last)

    def say_filled(self, run_id: str) -> None:
        """What the first run did."""
        rows = sum(numbers["read"] for numbers in self._written(run_id).values())
        self.say(
            f"{len(TABLES)} tables made as the shop's are, indexes and foreign keys too; {rows:,} rows, proved equal"
        )

    def say_shipped(self, run_id: str) -> None:
        """What a later run did, table by table."""
        self.say("the warehouse got only what had changed, found by digests that both servers compute:")
        for table, numbers in self._written(run_id).items():
            done = ", ".join(f"{numbers[name]} {name}" for name in _CHANGES if numbers[name]) or "nothing"
            sent = f", {numbers['bytes_sent']:,} bytes" if numbers["bytes_sent"] else ""
            self.say(f"    {table}: {done}{sent}; of {numbers['read']:,} rows")

    def _written(self, run_id: str) -> Mapping[str, Mapping[str, int]]:
        return {table: self.dagster.written(asset, run_id) for table, asset in ASSETS.items()}

    def damage_and_repair(self) -> None:
        """Somebody changes the copy by hand; `verify` says where, `repair` ships those rows."""
        self.say("somebody changes a price and deletes three lines of orders in the warehouse, by hand")
        self.copy.damage()
        commands.show(self.files, self.say, "verify", COPY, expected=DIFFERENT)
        commands.show(self.files, self.say, "repair", COPY, "--yes", expected=EQUAL, since=["what was done"])
