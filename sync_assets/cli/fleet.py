"""`sync-assets fleet`: names and options only. What a command does is in `cli.fleet_work`, loaded when it is called."""

from __future__ import annotations

import click

_INSTANCE = "Only this instance; may be given several times."
_JSON = "Print it as JSON."
_DAY = "YYYY-MM-DD, in the fleet's time zone: the end of that day."


@click.group(short_help="Accounts and capacity of many database servers.")
def fleet() -> None:
    """Accounts, rights and capacity of many database servers: collected, compared, asked."""


@fleet.command("list", short_help="List fleets and their instances.")
@click.argument("name", metavar="[FLEET]", required=False)
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def list_fleets(name: str | None, as_json: bool) -> int:
    """List the instances of every fleet, or of one: since when they belong, and what is known of them."""
    from sync_assets.cli import fleet_asking

    return fleet_asking.instances(name, as_json)


@fleet.command(short_help="Collect accounts or capacity now.")
@click.argument("name", metavar="FLEET")
@click.argument("what", type=click.Choice(["accounts", "capacity"]))
@click.option("--instance", "-i", "instances", multiple=True, help=_INSTANCE)
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def collect(name: str, what: str, instances: tuple[str, ...], as_json: bool) -> int:
    """Collect the accounts, or the sizes of today, of all instances or of those named. One that fails stops none."""
    from sync_assets.cli import fleet_work

    return fleet_work.collect(name, what, instances, as_json)


@fleet.command(short_help="Publish what the shrink guard refused.")
@click.argument("name", metavar="FLEET")
@click.argument("instance")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def accept(name: str, instance: str, as_json: bool) -> int:
    """Collect the accounts of one instance again, now, and publish them although many would vanish."""
    from sync_assets.cli import fleet_work

    return fleet_work.accept(name, instance, as_json)


@fleet.command(short_help="Classify the accounts.")
@click.argument("name", metavar="FLEET")
@click.option("--instance", "-i", "instances", multiple=True, help=_INSTANCE)
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def classify(name: str, instances: tuple[str, ...], as_json: bool) -> int:
    """Classify the published accounts by the fleet's rules. Assignments made by hand stay."""
    from sync_assets.cli import fleet_work

    return fleet_work.classify(name, instances, as_json)


@fleet.command(short_help="Add up closed periods.")
@click.argument("name", metavar="FLEET")
@click.option("--period", "-p", "periods", multiple=True, help="day, week, month or quarter and its first day: "
              "week:2026-11-16; may be given several times.")  # fmt: skip
@click.option("--due", is_flag=True, help="All that are due: never computed, or from other sizes than there are now.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def aggregate(name: str, periods: tuple[str, ...], due: bool, as_json: bool) -> int:
    """Add the sizes of closed periods up. Incomplete ones say what is missing."""
    from sync_assets.cli import fleet_work

    return fleet_work.aggregate(name, periods, due, as_json)


@fleet.command(short_help="Show what is known of an instance.")
@click.argument("name", metavar="FLEET")
@click.argument("instance")
@click.option("--on", "day", help=_DAY)
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def show(name: str, instance: str, day: str | None, as_json: bool) -> int:
    """Show the accounts of an instance, now or at the end of a day, and when each part was last confirmed."""
    from sync_assets.cli import fleet_asking

    return fleet_asking.show_instance(name, instance, day, as_json)


@fleet.command(short_help="Who could do this, on that day?")
@click.argument("name", metavar="FLEET")
@click.option("--instance", "-i", required=True, help="The instance.")
@click.option("--privilege", required=True, help="SELECT, INSERT, SUPER, ...")
@click.option("--path", required=True, help='database, database.schema.table or database.table; "odd.parts" in quotes.')
@click.option("--on", "day", help=_DAY)
@click.option("--all", "every", is_flag=True, help="Show roles that cannot log in, too.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def who(name: str, instance: str, privilege: str, path: str, day: str | None, every: bool, as_json: bool) -> int:
    """Who has a right to something, or had it at the end of a day; by which grants, roles and patterns; since when."""
    from sync_assets.cli import fleet_asking

    return fleet_asking.who(name, instance, privilege, path, day, every, as_json)


@fleet.command(short_help="What changed between two days?")
@click.argument("name", metavar="FLEET")
@click.option("--from", "first", required=True, help=_DAY)
@click.option("--to", "last", help=f"{_DAY} Default: now.")
@click.option("--instance", "-i", help="Only this instance.")
@click.option("--log", is_flag=True, help="Every change in its order, also what came and went in between.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def changes(name: str, first: str, last: str | None, instance: str | None, log: bool, as_json: bool) -> int:
    """Accounts and rights that differ between the ends of two days."""
    from sync_assets.cli import fleet_asking

    return fleet_asking.changes(name, first, last, instance, log, as_json)


@fleet.command(short_help="List what is missing, and why.")
@click.argument("name", metavar="FLEET")
@click.option("--all", "every", is_flag=True, help="Also those that were closed.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def gaps(name: str, every: bool, as_json: bool) -> int:
    """List the days of instances that have no data, with the reason. Exit code 3 when there are any."""
    from sync_assets.cli import fleet_asking

    return fleet_asking.gaps(name, every, as_json)


@fleet.command("import-rules", short_help="Turn rules of the predecessor into ours.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def import_rules(file: str) -> int:
    """Read exported rules (expressions of version 4, or the older flat ones), print them as YAML on standard output
    and say on standard error what was decided and what was left out."""
    from sync_assets.cli import fleet_work

    return fleet_work.import_rules(file)


@fleet.command(short_help="Put an account into a class by hand.")
@click.argument("name", metavar="FLEET")
@click.argument("instance")
@click.argument("account")
@click.argument("code", metavar="CLASS")
@click.option("--note", default="", help="Why.")
def assign(name: str, instance: str, account: str, code: str, note: str) -> int:
    """Put an account into a class by hand; rules never take it out again."""
    from sync_assets.cli import fleet_work

    return fleet_work.assign(name, instance, account, code, note)


@fleet.command(short_help="Take an assignment by hand back.")
@click.argument("name", metavar="FLEET")
@click.argument("instance")
@click.argument("account")
@click.argument("code", metavar="CLASS")
def unassign(name: str, instance: str, account: str, code: str) -> int:
    """Take back what was assigned by hand; what rules assign stays."""
    from sync_assets.cli import fleet_work

    return fleet_work.unassign(name, instance, account, code)


@click.command(short_help="Who started what, and how it ended.")
@click.argument("run", required=False)
@click.option("--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
def sessions(run: str | None, limit: int, as_json: bool) -> int:
    """List the newest sessions, each with who asked for it and how many instances, periods or tables came out how.
    With RUN, the beginning of a session's run id: its items, with their counts and errors."""
    from sync_assets.cli import fleet_asking

    return fleet_asking.sessions(run, limit, as_json)
