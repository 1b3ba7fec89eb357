"""The asset checks of a sync. All come out of the run that did the work, so they cost nothing more.

`freshness` is also looked at between runs (`freshness.py`): a run that never comes cannot report itself.
"""

from collections.abc import Iterator

import dagster as dg

from sync_assets.components import metadata
from sync_assets.components.naming import board_key
from sync_assets.engine.model import Report
from sync_assets.project.load import PlacedSync

FRESHNESS = "freshness"
_ABOUT = {
    "counts_balance": "read = created + updated + unchanged + rejected",
    "target_equals_source": "What the run claims is what the board holds.",
    "rejected_rows": "No row was set aside.",
    "key_unique_in_source": "No two rows of the source share a key.",
    FRESHNESS: "The newest data is as young as fresh_within asks.",
}


def specs(sync: PlacedSync) -> list[dg.AssetCheckSpec]:
    """The checks that a sync promises."""
    return [dg.AssetCheckSpec(name, asset=board_key(sync), description=_ABOUT[name]) for name in _names(sync)]


def _names(sync: PlacedSync) -> Iterator[str]:
    yield from ("counts_balance", "target_equals_source", "rejected_rows")
    if sync.spec.key:
        yield "key_unique_in_source"
    if sync.spec.fresh_within:
        yield FRESHNESS


def results(sync: PlacedSync, report: Report) -> Iterator[dg.AssetCheckResult]:
    """One result for each check but `freshness`."""
    key = board_key(sync)
    yield _balance(key, report)
    yield _equal(key, report)
    yield _rejected(key, report)
    if sync.spec.key:
        yield _unique(key, report)


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
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="target_equals_source",
        passed=report.equal is True,
        severity=dg.AssetCheckSeverity.ERROR if told else dg.AssetCheckSeverity.WARN,
        description=None if told else "It could not be told whether the board holds what the source holds.",
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
