"""What happens inside a run: the engine does the work, this tells Dagster about it.

One run may cover many partitions. Each good one gets its own event with its own counts; failures are collected and
raised once at the end, so that Dagster marks exactly those. Errors become what their class asks for: `Retry` waits
inside the same run, everything else ends it at once and is not tried again by itself. Must not know schedules, sensors
or how definitions are built.
"""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from sync_assets.components import checks, freshness, metadata
from sync_assets.components.execution import Execution
from sync_assets.components.naming import written_key
from sync_assets.engine.errors import Retry, SyncError
from sync_assets.engine.model import Mode, Report
from sync_assets.project.load import PlacedSync, Project
from sync_assets.store import redaction

MAX_RETRIES = 3
LONGEST_WAIT = 300.0  # seconds; a run that waits holds its slot
NO_RUN_RETRY = "dagster/retry_on_asset_or_op_failure"

Events = Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]


# What may be changed for one run, in the launchpad. Made once: a Config class would be read anew for each asset.
RUN_FIELDS = {
    "mode": dg.Field(
        dg.Noneable(dg.Enum("Mode", [dg.EnumValue(str(mode)) for mode in Mode])),
        default_value=None,
        description="another mode for this run",
    ),
    "accept_empty": dg.Field(
        bool, default_value=False, description="the source has rightly become empty, or much smaller"
    ),
}
RUN_CONFIG = dg.Shape(RUN_FIELDS)  # type: ignore[no-untyped-call]


class LoggedProgress:
    """Logs how far the work is, at most every `every` seconds."""

    def __init__(
        self, log: Callable[[str], None], *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._every, self._clock = log, every, clock
        self._last = clock()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = self._clock()
        if now - self._last < self._every:
            return
        self._last = now
        counts = done or total is not None  # some stages have nothing to count
        self._log(stage + (f": {done:,}" if counts else "") + (f" of {total:,}" if total is not None else ""))


def run_sync_in_dagster(
    execution: Execution,
    project: Project,
    sync: PlacedSync,
    context: dg.AssetExecutionContext,
) -> Events:
    """Do the work of one step and yield its events. Raises what Dagster understands."""
    redaction.install()  # warnings of libraries go to the run's log, which is kept
    keys, config = _keys_to_do(context, sync), context.op_execution_context.op_config
    try:
        report = _report(execution, project, sync, keys, asked_of(context, config))
    except Retry as error:
        raise _retried(context, str(error), error.after, {}) from None
    except SyncError as error:
        raise ended(context, str(error), {}) from None
    except Exception as error:  # Dagster would keep its text, which may quote a row or a secret
        raise unexpected(context, error) from None
    yield from _tell(context, sync, report)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked for, in its launchpad and by its place in Dagster."""

    mode: Mode | None
    run_id: str
    progress: LoggedProgress
    accept_empty: bool


def asked_of(context: dg.AssetExecutionContext, config: Mapping[str, Any]) -> Asked:
    mode = Mode(config["mode"]) if config["mode"] else None
    return Asked(mode, context.run.run_id, LoggedProgress(context.log.info), config["accept_empty"])


def _report(
    execution: Execution, project: Project, sync: PlacedSync, keys: Sequence[str] | None, asked: Asked
) -> Report:
    """Have the work done. A table of a replica is run as part of it, alone."""
    if not sync.replica:
        return execution.run(
            project, sync.spec.name, partitions=keys, mode=asked.mode, run_id=asked.run_id,
            progress=asked.progress, accept_empty=asked.accept_empty,
        )  # fmt: skip
    table = sync.spec.table or ""
    found = execution.replica(
        project, project.replica(sync.replica), {table: sync}, {table: keys or ()}, mode=asked.mode,
        run_id=asked.run_id, progress=asked.progress, accept_empty=asked.accept_empty,
    )[table]  # fmt: skip
    if found.error is not None:
        raise found.error
    assert found.report is not None  # noqa: S101 (one or the other)
    return found.report


def _keys_to_do(context: dg.AssetExecutionContext, sync: PlacedSync) -> Sequence[str] | None:
    """The run's partitions, without those that an earlier attempt of this step has finished."""
    if sync.spec.partitions is None:
        return None
    keys = list(context.partition_keys)
    if not context.retry_number:
        return keys
    done = _written_in_run(context.instance, context.run.run_id, written_key(sync))
    return [key for key in keys if key not in done]


def _written_in_run(
    instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey
) -> dict[str | None, Mapping[str, dg.MetadataValue]]:
    """The partitions that a run has written so far, each with what it said of it."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    mine = [event for event in events if event.asset_key == key]
    return {event.partition: event.step_materialization_data.materialization.metadata for event in mine}


def _tell(context: dg.AssetExecutionContext, sync: PlacedSync, report: Report) -> Events:
    for note in report.notes:
        context.log.info(note)
    partitioned = sync.spec.partitions is not None
    whole = partitioned and sync.into_table and not report.failed
    if whole:
        yield _all_partitions(context, sync, report)
    elif partitioned:
        _log_partitions(context, sync, report)
    if report.failed and _all_passing(report) and context.retry_number < MAX_RETRIES:
        raise _retried(context, _summary(report), 0.0, _reasons(report))
    if not partitioned and not report.failed:
        yield dg.MaterializeResult(asset_key=written_key(sync), metadata=metadata.of_report(report))
    yield from checks.results(sync, report)
    if sync.spec.fresh_within:
        yield _freshness(context, sync, report)
    if report.failed:
        raise ended(context, _summary(report), _reasons(report))
    if sync.into_table and report.equal is False:  # what reads the table in this run is not to go on
        raise ended(context, unequal(sync, report), {})


def unequal(sync: PlacedSync, report: Report) -> str:
    """How a table differs from its source after a run, for people."""
    some = "; ".join(report.differences[:3])
    return f"{sync.name}: the table differs from its source after the run{f': {some}' if some else ''}"


def _all_partitions(context: dg.AssetExecutionContext, sync: PlacedSync, report: Report) -> dg.MaterializeResult[None]:
    """One output for all partitions of the run, so that what reads the table follows in the same run."""
    key = written_key(sync)
    earlier = _written_in_run(context.instance, context.run.run_id, key) if context.retry_number else {}
    for partition in context.partition_keys:
        said = metadata.of_partition(report, partition) if partition in report.partitions else earlier.get(partition)
        context.add_asset_metadata(dict(said or {}), asset_key=key, partition_key=partition)
    shown = metadata.of_effort(report) if len(report.partitions) == 1 else {}
    return dg.MaterializeResult(asset_key=key, metadata=shown)


def _freshness(context: dg.AssetExecutionContext, sync: PlacedSync, report: Report) -> dg.AssetCheckResult:
    """Without partitions the data is being written right now; with them, ask which ones have been."""
    if sync.spec.partitions is None:
        return dg.AssetCheckResult(asset_key=written_key(sync), check_name=checks.FRESHNESS, passed=not report.failed)
    return freshness.evaluate(context.instance, sync, datetime.now(UTC))


def _log_partitions(context: dg.AssetExecutionContext, sync: PlacedSync, report: Report) -> None:
    good = [key for key in report.partitions if key not in report.failed]
    for key in good:
        shown = dict(metadata.of_partition(report, key))
        if len(good) == 1:
            shown |= metadata.of_effort(report)
        context.log_event(dg.AssetMaterialization(written_key(sync), partition=key, metadata=shown))


def _all_passing(report: Report) -> bool:
    return all(info.kind == "retry" for info in report.failed.values())


def _reasons(report: Report) -> dict[str, str]:
    return {key: info.message for key, info in report.failed.items()}


def _retried(
    context: dg.AssetExecutionContext, message: str, after: float, failed: dict[str, str]
) -> dg.RetryRequested | dg.Failure:
    """Try this step again, in this run, after `after` seconds or a growing wait; a few times, then give up."""
    attempt = context.retry_number
    if attempt >= MAX_RETRIES:
        return ended(context, f"{message} (after {attempt + 1} attempts)", failed)
    wait = min(max(after, 5.0 * 2**attempt), LONGEST_WAIT)
    context.log.warning(f"{message}; attempt {attempt + 2} in {wait:.0f} s")
    return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait)


def ended(context: dg.AssetExecutionContext, message: str, failed: dict[str, str]) -> dg.Failure:
    """What a person must see to, or what was tried often enough."""
    shown: dict[str, dg.MetadataValue] = {}
    if failed:
        shown = {"failed": metadata.of_failures(failed), "failed_partitions": dg.MetadataValue.int(len(failed))}
    return _final(context, message, shown)


def _final(context: dg.AssetExecutionContext, message: str, shown: dict[str, dg.MetadataValue]) -> dg.Failure:
    """End the run, and keep Dagster's run retries (for crashes) away from it."""
    context.instance.add_run_tags(context.run.run_id, {NO_RUN_RETRY: "false"})
    return dg.Failure(message, metadata=shown, allow_retries=False)


def unexpected(context: dg.AssetExecutionContext, error: Exception) -> dg.Failure:
    """A bug of ours: its type and where it happened are enough to report it."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    message = f"unexpected error: {type(error).__name__} -> this is a bug: please report it with the trace"
    return _final(context, message, {"trace": dg.MetadataValue.md(f"```\n{frames}```")})


def _summary(report: Report) -> str:
    failed = list(report.failed.items())
    lines = [f"{key}: {info.message}" if key else info.message for key, info in failed[:5]]
    more = f" (and {len(failed) - 5} more)" if len(failed) > 5 else ""
    total = len(report.partitions.keys() | report.failed.keys())
    head = f"{len(failed)} of {total} partitions failed: " if any(key for key, _ in failed) else ""
    return head + "; ".join(lines) + more
