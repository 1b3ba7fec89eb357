"""Is the newest data young enough? Knows partitions, so that a backfill of an old day does not look like fresh data.

Without partitions the last materialisation counts. With time windows: that of the current or the newest closed
window. With fixed values: the oldest value's. Dagster's own FreshnessPolicy looks at the asset as a whole
(https://github.com/dagster-io/dagster/discussions/34023).
"""

from datetime import datetime, timedelta

import dagster as dg

from sync_assets.components.checks import FRESHNESS
from sync_assets.components.naming import written_key
from sync_assets.components.partitions import newest_keys
from sync_assets.project.load import PlacedSync
from sync_assets.project.spec import FixedValues, KeyRanges

_UNIT = {"m": "minutes", "h": "hours", "d": "days"}


def allowed_age(sync: PlacedSync) -> timedelta:
    """`fresh_within` as a duration. Only for syncs that have one."""
    text = sync.spec.fresh_within or "0m"
    return timedelta(**{_UNIT[text[-1]]: int(text[:-1])})


def last_written(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> float | None:
    """Unix time of the newest materialisation of `key` (of one partition of it), or None."""
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0].timestamp if records else None


def written_at(instance: dg.DagsterInstance, sync: PlacedSync, now: datetime) -> float | None:
    """When the data that freshness is about was written; None when it never was."""
    key = written_key(sync)
    if sync.spec.partitions is None:
        return last_written(instance, key, None)
    times = [last_written(instance, key, partition) for partition in newest_keys(sync, 2, now)]
    if isinstance(sync.spec.partitions, FixedValues | KeyRanges):
        return None if None in times or not times else min(t for t in times if t is not None)
    return max((t for t in times if t is not None), default=None)


def evaluate(instance: dg.DagsterInstance, sync: PlacedSync, now: datetime) -> dg.AssetCheckResult:
    """The check's result at `now`."""
    written, limit = written_at(instance, sync, now), allowed_age(sync)
    age = None if written is None else timedelta(seconds=max(0.0, now.timestamp() - written))
    late = age is None or age > limit
    return dg.AssetCheckResult(
        asset_key=written_key(sync),
        check_name=FRESHNESS,
        passed=not late,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_story(sync, age) if late else None,
        metadata={} if written is None else {"written": dg.MetadataValue.timestamp(written)},
    )


def _story(sync: PlacedSync, age: timedelta | None) -> str:
    if age is None:
        return "The newest data was never written."
    return f"The newest data is {str(age).split('.')[0]} old; fresh_within asks for {sync.spec.fresh_within}."
