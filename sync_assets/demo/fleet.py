"""The fourth act: the servers themselves, who may do what on them, and how they grow.

Runs go through Dagster; questions through the commands, as a user would ask them. Must not know how servers are asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sync_assets.demo import commands, warehouse
from sync_assets.demo.dagster_api import Dagster
from sync_assets.demo.deployment import Deployment
from sync_assets.demo.servers import COPY, DEAD, FLEET, SHOP, Servers
from sync_assets.demo.shop import ZONE
from sync_assets.engine.errors import Stop

ACCOUNTS = tuple((FLEET, name) for name in ("account_inventory", "account_permissions", "account_classification"))
SNAPSHOT = (FLEET, "capacity_snapshot")
PERIODS: Mapping[str, tuple[str, str]] = {
    "weeks": (FLEET, "capacity_weekly"), "months": (FLEET, "capacity_monthly"),
    "quarters": (FLEET, "capacity_quarterly"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watching:
    """The fleet and those who look after it."""

    dagster: Dagster
    servers: Servers
    files: Deployment
    say: Callable[[str], None]

    def look(self) -> str:
        """Launch one run over the accounts of all instances; its id."""
        names = self._instances()
        return self.dagster.materialize_all(list(ACCOUNTS), names[0], names[-1])

    def measure(self) -> str:
        """Launch one run over today's sizes of all instances; its id."""
        today, names = datetime.now(ZONE).date(), self._instances()
        return self.dagster.materialize(SNAPSHOT, f"{today}|{names[0]}", f"{today}|{names[-1]}")

    def _instances(self, seconds: float = 60) -> list[str]:
        """The partitions of the accounts, as soon as the sensor has made them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            names = self.dagster.partition_keys(ACCOUNTS[0])
            if {SHOP, COPY, DEAD} <= set(names):
                return names
            time.sleep(0.5)
        raise Stop(f"Dagster has no partitions for the instances of {FLEET} after {seconds:.0f} s")

    def tell(self, accounts: str, sizes: str) -> None:
        """What the first look at accounts and sizes came to."""
        self.say(f"the servers themselves, as a fleet of three: {SHOP}, {COPY}, and {DEAD}, where nobody answers")
        self._one_is_red(accounts)
        self._ended(sizes)
        found = self.dagster.written(ACCOUNTS[0], accounts)
        counts = f"{found['principals']} users and roles, {found['grants']} rights"
        self.say(f"    accounts: {counts}, classified by the shipped rules")
        measured = self.dagster.written(SNAPSHOT, sizes)
        self.say(f"    capacity: {measured['databases']} databases measured; one red partition each: {DEAD}")

    def tell_periods(self) -> None:
        """The periods of the made-up history, which a sensor has asked for all by itself."""
        counts = {what: self._added_up(asset) for what, asset in PERIODS.items()}
        told = ", ".join(f"{count} {what if count != 1 else what[:-1]}" for what, count in counts.items())
        self.say(f"    a sensor found closed periods that were never added up, and had them added up: {told}")
        self.say(f"    (sizes before today are made up; the weeks in which {DEAD} is silent are marked partial)")

    def catch_the_careless(self) -> None:
        """People grant too much in a hurry; the next look says exactly what."""
        self.say("somebody gives the role dba to the role 值班, and everybody the customers; the accounts again")
        self.servers.be_careless()
        self._one_is_red(self.look())
        yesterday = str(datetime.now(ZONE).date() - timedelta(days=1))
        self._show("fleet", "changes", FLEET, "--from", yesterday, "--log", since=["added legacy", "joined 值班"])
        table = f"{warehouse.DATABASE}.{warehouse.SCHEMA}.customers"
        self._show("fleet", "who", FLEET, "-i", COPY, "--privilege", "delete", "--path", table)

    def report(self) -> None:
        """What is known, as pages for people who were not there."""
        for what in ("accounts", "capacity"):
            self._show("report", FLEET, what, "--out", str(self.files.home / f"{FLEET}-{what}.html"), most=0)

    def _show(self, *words: str, since: Sequence[str] = ("",), most: int = 20) -> None:
        commands.show(self.files, self.say, *words, since=since, most=most)

    def _added_up(self, asset: tuple[str, str], seconds: float = 120) -> int:
        """How many periods of a kind there are, when none of them is missing any more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.dagster.partitions(asset)
            if found["FAILED"]:
                raise Stop(f"{'/'.join(asset)} failed for {', '.join(found['FAILED'])}", hint="look at it in the UI")
            if len(found["MATERIALIZED"]) == sum(map(len, found.values())):  # none missing, none on its way
                return len(found["MATERIALIZED"])
            time.sleep(1)
        raise Stop(f"{'/'.join(asset)} was not added up within {seconds:.0f} s")

    def _one_is_red(self, run_id: str) -> None:
        """The dead instance fails its partition, and nothing else's."""
        self._ended(run_id)
        found = self.dagster.partitions(ACCOUNTS[1])
        if (sorted(found["MATERIALIZED"]), found["FAILED"]) != (sorted((SHOP, COPY)), [DEAD]):
            raise Stop(f"{DEAD} alone should have failed, but Dagster shows {found}")

    def _ended(self, run_id: str) -> None:
        """A run with a failed partition is a failed run."""
        status = self.dagster.wait_run(run_id)
        if status != "FAILURE":
            raise Stop(f"a run over a dead server ended as {status} instead of FAILURE")


def told(card: Mapping[str, Any]) -> list[str]:
    """The lines of a message to a group, its title first."""
    content = card["card"]
    texts = [content["header"]["title"], *(e["text"] for e in content["elements"] if "text" in e)]
    return [str(text["content"]) for text in texts]
