"""What a fleet's partitions show in the UI: status by section, accounts and what changed, sizes, how they grow.

Names of accounts and databases, counts and bytes; nothing else of what servers hold. Must not know how it was
collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from sync_assets.components.fleet_plots import bar, plot, sized
from sync_assets.components.metadata import SAMPLE_ROWS
from sync_assets.fleet.model import Status

if TYPE_CHECKING:
    from sync_assets.components.fleet_execution import Growth
    from sync_assets.fleet.periods import PeriodRow, PeriodSummary
    from sync_assets.fleet.state import Change
    from sync_assets.project.fleet import Item, PeriodItem

Metadata = dict[str, dg.MetadataValue]
_NAMED = 20  # instances or databases named in a text


def of_inventory(item: Item) -> Metadata:
    """How many accounts a look found, and how each of its sections came out."""
    return {**_look(item), **_counts(item)}


def of_permissions(item: Item) -> Metadata:
    """What was published, and what it changed."""
    shown = {**_look(item), **_counts(item)}
    if item.publication:
        shown["publication"] = dg.MetadataValue.text(str(item.publication.state))
        if item.publication.changes:
            shown["changes"] = _changes(item.publication.changes)
    return shown


def of_classes(item: Item) -> Metadata:
    """Accounts by class and by risk, as counted when the assignments were swapped."""
    plain = {k: n for k, n in item.counts.items() if ":" not in k}
    shown: Metadata = {name: dg.MetadataValue.int(n) for name, n in plain.items()}
    for what in ("class", "risk", "hint"):
        found = {k.partition(":")[2]: n for k, n in item.counts.items() if k.startswith(f"{what}:")}
        if found:
            records = [{what: name, "accounts": n} for name, n in sorted(found.items())]
            shown[f"by_{what}"] = table(records, (what, "accounts"))
    return shown


def of_capacity(items: Sequence[Item], of: int) -> Metadata:
    """One instance's day, or that of a group: sizes in all, and of each."""
    total: Metadata = {}
    for name in sorted({name for item in items for name in item.counts}):
        total[name] = dg.MetadataValue.int(sum(item.counts.get(name, 0) for item in items))
    total["size_gb"] = _gigabytes(sum(item.counts.get("bytes", 0) for item in items))
    if len(items) == 1 and of == 1:
        return {**_look(items[0]), **total}
    by_instance = [
        {"instance": i.instance, "state": str(i.state), "size": sized(i.counts.get("bytes")), "late": str(i.late)}
        for i in sorted(items, key=lambda i: -i.counts.get("bytes", 0))[:SAMPLE_ROWS]
    ]
    shown = {"collected": dg.MetadataValue.int(len(items)), "expected": dg.MetadataValue.int(of)}
    return {**shown, **total, "instances": table(by_instance, ("instance", "state", "size", "late"))}


def _gigabytes(size: int) -> dg.FloatMetadataValue:
    """For Dagster's own plots, which show no integer beyond 32 bits."""
    return dg.MetadataValue.float(round(size / 1e9, 3))


def of_present(instances: int) -> Metadata:
    """A partition that had nothing to do: the ledger has its day."""
    return {
        "state": dg.MetadataValue.text("in the ledger already; nothing was collected again"),
        "expected": dg.MetadataValue.int(instances),
    }


def denied(item: Item) -> str:
    """Which sections of a look are missing, and what would bring them. Empty where none is."""
    bad = [(key, state) for key, state in item.sections.items() if state.status in (Status.DENIED, Status.ERROR)]
    lines = [f"{key} {state.status}: {state.reason}" for key, state in bad[:_NAMED]]
    more = f" (and {len(bad) - _NAMED} more)" if len(bad) > _NAMED else ""
    return f"{item.instance}: " + "; ".join(lines) + more if bad else ""


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """Rows as a table in the UI."""
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows], schema)


def _look(item: Item) -> Metadata:
    shown: Metadata = {
        "state": dg.MetadataValue.text(str(item.state)),
        "server": dg.MetadataValue.text(item.server),
        "attempts": dg.MetadataValue.int(item.attempts),
        "seconds": dg.MetadataValue.float(round(item.seconds, 3)),
    }
    if item.observed_at:
        shown["observed_at"] = dg.MetadataValue.timestamp(item.observed_at)
    if item.late:
        shown["late"] = dg.MetadataValue.bool(True)
    if item.sections:
        columns = ("section", "status", "rows", "reason")
        records = [
            {"section": str(key), "status": str(state.status), "rows": state.rows, "reason": state.reason}
            for key, state in sorted(item.sections.items(), key=lambda pair: (pair[1].ok, pair[0]))[:SAMPLE_ROWS]
        ]
        shown["sections"] = table(records, columns)
    return shown


def _counts(item: Item) -> Metadata:
    return {name: dg.MetadataValue.int(count) for name, count in item.counts.items()}


def _changes(changes: Sequence[Change]) -> dg.TableMetadataValue:
    from sync_assets.fleet.model import Grant, Membership

    records = []
    for change in changes[:SAMPLE_ROWS]:
        row = change.row
        what = ""
        if isinstance(row, Grant):
            what = f"{row.privilege} on {'.'.join(row.path) or row.scope}"
        elif isinstance(row, Membership):
            what = f"role {row.role}"
        records.append({"change": str(change.kind), "account": change.principal, "what": what})
    return table(records, ("change", "account", "what"))


# -- periods ----------------------------------------------------------------------------------------------------


def of_period(item: PeriodItem, growth: Growth) -> Metadata:
    """What a period came to, what grew most, and the fleet's size over the periods up to it."""
    summary = item.summary
    assert summary is not None  # noqa: S101 (a period without one failed, and shows nothing)
    shown: Metadata = {
        "status": dg.MetadataValue.text(summary.status),
        "expected_days": dg.MetadataValue.int(summary.expected_days),
        "present_days": dg.MetadataValue.int(summary.present_days),
        "rows": dg.MetadataValue.int(summary.rows),
        "written": dg.MetadataValue.int(summary.written),
        "input_hash": dg.MetadataValue.text(summary.input_hash),
        "computed_at": dg.MetadataValue.timestamp(summary.computed_at),
    }
    size = growth.sizes.get(item.period.key)
    if size is not None:
        shown["size_gb"] = _gigabytes(size)
    if summary.completeness is not None:
        shown["completeness"] = dg.MetadataValue.float(round(summary.completeness, 4))
    if summary.missing_instances:
        shown["missing"] = dg.MetadataValue.md(
            "\n".join(f"- {name}" for name in summary.missing_instances[:SAMPLE_ROWS])
        )
    if any(row.change for row in growth.rows):
        shown["growth"] = _growth(growth.rows)
    if sum(size is not None for size in growth.sizes.values()) > 1:
        shown["plot"] = dg.MetadataValue.md(plot(growth.sizes, f"{item.period}"))
    return shown


def _growth(rows: Iterable[PeriodRow]) -> dg.TableMetadataValue:
    """The largest growths, the largest first, with a bar that shows how they compare."""
    found = sorted((r for r in rows if r.change), key=lambda r: -(r.change or 0))[:_NAMED]
    most = max((abs(r.change or 0) for r in found), default=1)
    records = [
        {
            "instance": r.instance, "database": r.database or "(all)", "change": sized(r.change),
            "size": sized(r.last), "growth": "" if r.growth is None else f"{r.growth:+.1%}",
            "": bar(abs(r.change or 0) / most),
        }
        for r in found
    ]  # fmt: skip
    return table(records, ("instance", "database", "change", "size", "growth", ""))


def incomplete(summary: PeriodSummary) -> str:
    """What a period is missing, by name. Empty where it is complete."""
    if summary.status == "complete":
        return ""
    some = summary.missing_instances[:_NAMED]
    more = f" and {len(summary.missing_instances) - _NAMED} more" if len(summary.missing_instances) > _NAMED else ""
    days = ", ".join(day.isoformat() for day in summary.missing_days[:_NAMED])
    named = f": {', '.join(some)}{more} lack days" if some else ""
    return f"{summary.status}{named}" + (f"; days without all instances: {days}" if days else "")
