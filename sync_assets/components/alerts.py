"""Tell a group when a sync fails for good, and when it works again: once per trouble, not once per run or retry.

A trouble (an incident in the control database) begins with a failed run of a sync and ends with its next good one.
Runs are judged by their events, so a run whose process was killed counts as well. A failed run that Dagster will try
again says nothing yet. Only syncs of files with `alerts:` take part. The tables of a replica that are written together
are one trouble together: a database that is down must not ring once for each of its tables.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from sync_assets.components import naming
from sync_assets.components.execution import Execution, run_link
from sync_assets.components.freshness import last_written
from sync_assets.components.notices import Notice
from sync_assets.engine.errors import SyncError
from sync_assets.project.load import PlacedSync, Project

WILL_RETRY = "dagster/will_retry"
_WAIT_FOR_TAG = 5.0  # seconds; Dagster sets will_retry just after the failure that wakes us
_TELLING = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SUCCESS,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one sync came out of one run."""

    sync: PlacedSync
    good: bool
    reason: str = ""
    missing: tuple[str, ...] = ()  # partitions (or tables) that were planned and not written

    @property
    def name(self) -> str:
        """What the trouble is called."""
        return self.sync.replica if _together(self.sync) else self.sync.spec.name


def _together(sync: PlacedSync) -> bool:
    """Whether it is written in one step with other tables."""
    return bool(sync.replica) and sync.spec.partitions is None


def alert_sensors(
    project: Project, execution: Execution, replicated: Iterable[PlacedSync] = ()
) -> list[dg.SensorDefinition]:
    """One sensor for failed runs and one for good ones, or none where no file has `alerts`.

    `replicated` are the tables of replicas.
    """
    watched = {naming.written_key(s): s for s in (*project.syncs.values(), *replicated) if s.alerts}
    if not watched:
        return []
    return [_on_failure(project, watched, execution), _on_success(project, watched, execution)]


def _on_failure(
    project: Project, watched: Mapping[dg.AssetKey, PlacedSync], execution: Execution
) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="alerts_on_failure",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Tells the group of a file that a sync of it failed: once, until it works again.",
    )
    def alerts_on_failure(context: dg.RunFailureSensorContext) -> None:
        # no SkipReason: beside the reaction to another run of the same tick it fails the tick, again and again
        if not will_retry(context.instance, context.dagster_run, time.sleep):
            settle(project, watched, execution, context.instance, context.dagster_run.run_id)

    return alerts_on_failure


def _on_success(
    project: Project, watched: Mapping[dg.AssetKey, PlacedSync], execution: Execution
) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="alerts_on_recovery",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Tells the group of a file that a sync of it works again, and since when it had not.",
    )
    def alerts_on_recovery(context: dg.RunStatusSensorContext) -> None:
        settle(project, watched, execution, context.instance, context.dagster_run.run_id)

    return alerts_on_recovery


def will_retry(instance: dg.DagsterInstance, run: dg.DagsterRun, sleep: Callable[[float], None]) -> bool:
    """Whether Dagster is going to run it again. Waits a little for the answer, which comes after the failure."""
    tag, waited = run.tags.get(WILL_RETRY), 0.0
    while tag is None and instance.run_retries_enabled and waited < _WAIT_FOR_TAG:
        sleep(0.25)
        waited += 0.25
        fresh = instance.get_run_by_id(run.run_id)
        tag = fresh.tags.get(WILL_RETRY) if fresh else "false"
    return tag == "true"


def settle(
    project: Project,
    watched: Mapping[dg.AssetKey, PlacedSync],
    execution: Execution,
    instance: dg.DagsterInstance,
    run_id: str,
) -> None:
    """Open or close the incident of each watched sync in a finished run, and tell the group what is new."""
    for verdict in verdicts(instance, watched, run_id):
        if verdict.good:
            _recovered(project, execution, instance, verdict, run_id)
        elif not _good_since(instance, verdict, run_id):
            _failed(project, execution, verdict, run_id)


def verdicts(instance: dg.DagsterInstance, watched: Mapping[dg.AssetKey, PlacedSync], run_id: str) -> Iterator[Verdict]:
    """How each watched sync came out of the run, from the run's own events."""
    events = [e.dagster_event for e in instance.all_logs(run_id, of_type=_TELLING) if e.dagster_event]
    steps: dict[str, list[tuple[dg.AssetKey, PlacedSync]]] = {}
    for key, sync in watched.items():
        if _partitions(events, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, key):
            steps.setdefault(naming.step(sync), []).append((key, sync))
    for step, members in steps.items():
        mine = [event for event in events if event.step_key == step]
        good = any(e.event_type is dg.DagsterEventType.STEP_SUCCESS for e in mine)
        missing = tuple(sorted(part for key, sync in members for part in _unwritten(events, key, sync)))
        yield Verdict(members[0][1], good, "" if good else _reason(mine), missing)


def _unwritten(events: Sequence[dg.DagsterEvent], key: dg.AssetKey, sync: PlacedSync) -> Iterator[str]:
    """What was planned of an asset and not written: its partitions, or the table itself."""
    planned = _partitions(events, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, key)
    for part in planned - _partitions(events, dg.DagsterEventType.ASSET_MATERIALIZATION, key):
        if part or _together(sync):
            yield part or sync.spec.table or ""


def _partitions(events: Sequence[dg.DagsterEvent], kind: dg.DagsterEventType, key: dg.AssetKey) -> set[str | None]:
    return {e.partition for e in events if e.event_type is kind and e.asset_key == key}


def _reason(events: Sequence[dg.DagsterEvent]) -> str:
    """What the last failure of the step says. Our own failures carry a text made for people."""
    for event in reversed(events):
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            return "an unexpected error; its text is in the run's log"
    return "the process of the run died, or never started"


def _good_since(instance: dg.DagsterInstance, verdict: Verdict, run_id: str) -> bool:
    """Whether a later run has succeeded already: its recovery would come before our failure."""
    run = instance.get_run_record_by_id(run_id)
    written = last_written(instance, naming.written_key(verdict.sync), None)
    return bool(run and run.end_time and written and written > run.end_time)


def _failed(project: Project, execution: Execution, verdict: Verdict, run_id: str) -> None:
    with execution.open_store() as store:
        incident, is_new = store.open_incident(verdict.name, verdict.reason)
        if not is_new:
            return
        notice = _failure(project, verdict, incident.opened_at, run_id)
        try:
            execution.notify(project, verdict.sync.alerts or "", notice)
        except SyncError:
            store.close_incident(verdict.name)  # nobody knows of it yet: the next failure says so
            raise


def _failure(project: Project, verdict: Verdict, since: datetime, run_id: str) -> Notice:
    lines = [verdict.reason, f"since {_clock(project, since)}"]
    if verdict.missing:
        what = "tables" if _together(verdict.sync) else "partitions"
        lines.append(f"{what} without their data: {_some(verdict.missing)}")
    lines.append(f"sync: {verdict.name} ({verdict.sync.source} -> {verdict.sync.target})")
    return Notice(f"{_title(project, verdict)}: sync failed", tuple(lines), run_link(run_id), recovered=False)


def _recovered(
    project: Project, execution: Execution, instance: dg.DagsterInstance, verdict: Verdict, run_id: str
) -> None:
    with execution.open_store() as store:
        incident = store.close_incident(verdict.name)
    if incident is None:
        return
    lines = [f"failing since {_clock(project, incident.opened_at)}; failed runs: {incident.occurrences}"]
    gaps = _gaps(instance, verdict.sync)
    if gaps:
        lines.append(f"still without their data: {_some(gaps)}; backfill the failed partitions to close them")
    notice = Notice(f"{_title(project, verdict)}: works again", tuple(lines), run_link(run_id), recovered=True)
    execution.notify(project, verdict.sync.alerts or "", notice)


def _gaps(instance: dg.DagsterInstance, sync: PlacedSync) -> tuple[str, ...]:
    """Partitions whose last run failed: what the UI shows in red."""
    if sync.spec.partitions is None:
        return ()
    attempts = instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
        naming.written_key(sync)
    )
    failed = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    runs = {run_id: instance.get_run_by_id(run_id) for run_id, _ in attempts.values()}
    return tuple(sorted(key for key, (run_id, _) in attempts.items() if (run := runs[run_id]) and run.status in failed))


def _title(project: Project, verdict: Verdict) -> str:
    if _together(verdict.sync):
        return project.replica(verdict.sync.replica).spec.title or verdict.name
    return verdict.sync.spec.title or verdict.name


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - 10} more" if len(keys) > 10 else ""
    return ", ".join(keys[:10]) + more


def _clock(project: Project, moment: datetime) -> str:
    return moment.astimezone(project.time_zone).strftime("%Y-%m-%d %H:%M %Z")
