"""The asset checks of a sync. All come out of the run that did the work, so they cost nothing more.

`freshness` is also looked at between runs (`freshness.py`): a run that never comes cannot report itself.
"""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from sync_assets.components import metadata
from sync_assets.components.naming import written_key
from sync_assets.engine.model import Report
from sync_assets.project.load import PlacedSync

EQUAL, DRIFT, FRESHNESS = "target_equals_source", "schema_drift", "freshness"
_ABOUT = {
    "counts_balance": "read = created + updated + unchanged + rejected",
    EQUAL: "What the run claims is what the target holds.",
    "rejected_rows": "No row was set aside.",
    "key_unique_in_source": "No two rows of the source share a key.",
    DRIFT: "The target table is built as its source is.",
    FRESHNESS: "The newest data is as young as fresh_within asks.",
}
_COUNTED = "Both sides have as many rows as the run claims. They are counted, not compared (proof: count)."


def specs(sync: PlacedSync) -> list[dg.AssetCheckSpec]:
    """The checks that a sync promises."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=written_key(sync),
            description=_COUNTED if name == EQUAL and sync.into_table and sync.spec.proof == "count" else _ABOUT[name],
            blocking=sync.into_table and name == EQUAL,  # what reads a table must not go on with a wrong one
        )
        for name in names(sync)
    ]


def names(sync: PlacedSync) -> Iterator[str]:
    """Tables of a replica have two: an event takes Dagster's storage some 80 ms, and a replica has many tables."""
    if not sync.replica:
        yield from ("counts_balance", "rejected_rows")
    if not sync.replica and sync.spec.key:
        yield "key_unique_in_source"
    if not sync.into_table or sync.spec.proof != "none":
        yield EQUAL
    if sync.into_table:
        yield DRIFT
    if sync.spec.fresh_within:
        yield FRESHNESS


def results(sync: PlacedSync, report: Report) -> Iterator[dg.AssetCheckResult]:
    """One result for each check but `freshness`."""
    key = written_key(sync)
    yield from (_RESULTS[name](key, report) for name in names(sync) if name != FRESHNESS)


def _balance(key: dg.AssetKey, report: Report) -> dg.AssetCheckResult:
    off = [k or "whole" for k, counts in report.partitions.items() if not counts.balanced]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="counts_balance",
        passed=report.counts.balanced and not off,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"Does not balance: {', '.join(off[:10])}" if off else None,
        metadata=metadata.of_counts(report.counts),
    )


def _equal(key: dg.AssetKey, report: Report) -> dg.AssetCheckResult:
    told = report.equal is not None
    counted = next((note for note in report.notes if "rows were counted" in note), None)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=EQUAL,
        passed=report.equal is True,
        severity=dg.AssetCheckSeverity.ERROR if told else dg.AssetCheckSeverity.WARN,
        description=counted if told else "It could not be told whether the target holds what the source holds.",
        metadata={"differences": dg.MetadataValue.md("\n".join(f"- {d}" for d in report.differences[:20]))}
        if report.differences
        else {},
    )


def _rejected(key: dg.AssetKey, report: Report) -> dg.AssetCheckResult:
    count = report.counts.rejected
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="rejected_rows",
        passed=count == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count} rows were set aside: sync-assets rejects {report.sync}" if count else None,
        metadata={"rejected": count},
    )


def _unique(key: dg.AssetKey, report: Report) -> dg.AssetCheckResult:
    count = report.duplicates
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="key_unique_in_source",
        passed=count == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count} rows share a key with another and were left out" if count else None,
        metadata={"duplicates": count},
    )


def _drift(key: dg.AssetKey, report: Report) -> dg.AssetCheckResult:
    lines = report.drift
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=DRIFT,
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(lines)} differences in structure" if lines else None,
        metadata={"drift": dg.MetadataValue.md("\n".join(f"- {line}" for line in lines[:50]))} if lines else {},
    )


_RESULTS: Mapping[str, Callable[[dg.AssetKey, Report], dg.AssetCheckResult]] = {
    "counts_balance": _balance,
    "rejected_rows": _rejected,
    "key_unique_in_source": _unique,
    EQUAL: _equal,
    DRIFT: _drift,
}
