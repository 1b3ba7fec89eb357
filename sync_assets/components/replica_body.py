"""What happens inside a run of a replica: one run over all selected tables, then one event for each.

A failed table does not hold up the others: good ones are told first, and the failed are raised once at the end. Passing
trouble is waited for here, and only for the tables that have it. Must not know how definitions are built.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from sync_assets.components import checks, metadata
from sync_assets.components.body import LONGEST_WAIT, MAX_RETRIES, Asked, Events, asked_of, ended, unequal, unexpected
from sync_assets.components.execution import Execution
from sync_assets.components.naming import written_key
from sync_assets.engine.errors import Retry, SyncError
from sync_assets.engine.model import Report
from sync_assets.engine.tables.report import Outcome
from sync_assets.project.load import PlacedReplica, PlacedSync, Project
from sync_assets.store import redaction

_SHOWN = 5  # failed tables named in a message

Syncs = Mapping[str, PlacedSync]  # by table


def run_replica_in_dagster(
    execution: Execution,
    project: Project,
    replica: PlacedReplica,
    syncs: Syncs,
    context: dg.AssetExecutionContext,
    sleep: Callable[[float], None] = time.sleep,
) -> Events:
    """Do the work of the selected tables and yield their events, referenced tables first."""
    redaction.install()
    selected = {table: sync for table, sync in syncs.items() if written_key(sync) in context.selected_asset_keys}
    asked = asked_of(context, context.op_execution_context.op_config)
    try:
        found = _with_patience(execution, project, replica, selected, asked, context.log.warning, sleep)
    except SyncError as error:
        raise ended(context, str(error), {}) from None
    except Exception as error:  # Dagster would keep its text, which may quote a row or a secret
        raise unexpected(context, error) from None
    failed: dict[str, str] = {}
    for table, sync in selected.items():
        yield from _told(context, sync, found[table], failed)
    if failed:
        raise ended(context, _summary(failed, len(selected)), failed)


def _with_patience(
    execution: Execution,
    project: Project,
    replica: PlacedReplica,
    syncs: Syncs,
    asked: Asked,
    warn: Callable[[str], None],
    sleep: Callable[[float], None],
) -> dict[str, Outcome]:
    """Run the tables, and those with passing trouble again: a few times, with growing waits."""
    found: dict[str, Outcome] = {}
    left = dict(syncs)
    for attempt in range(MAX_RETRIES + 1):
        found |= _attempt(execution, project, replica, left, asked)
        left = {t: s for t, s in left.items() if isinstance(found[t].error, Retry)}
        if not left or attempt == MAX_RETRIES:
            break
        wait = _wait([found[t].error for t in left], attempt)
        warn(f"{len(left)} tables again in {wait:.0f} s: {found[next(iter(left))].error}")
        sleep(wait)
    return found


def _attempt(
    execution: Execution, project: Project, replica: PlacedReplica, syncs: Syncs, asked: Asked
) -> Mapping[str, Outcome]:
    """One run. Passing trouble of the whole run is that of each table."""
    try:
        return execution.replica(
            project, replica, syncs, {}, mode=asked.mode, run_id=asked.run_id, progress=asked.progress,
            accept_empty=asked.accept_empty,
        )  # fmt: skip
    except Retry as error:
        return {table: Outcome(None, error) for table in syncs}


def _wait(errors: Sequence[SyncError | None], attempt: int) -> float:
    after = max((e.after for e in errors if isinstance(e, Retry)), default=0.0)
    return float(min(max(after, 5.0 * 2**attempt), LONGEST_WAIT))


def _told(context: dg.AssetExecutionContext, sync: PlacedSync, outcome: Outcome, failed: dict[str, str]) -> Events:
    if outcome.report is None:
        failed[sync.spec.table or ""] = str(outcome.error)
        return
    report: Report = outcome.report
    for note in report.notes:
        context.log.info(f"{sync.spec.table}: {note}")
    yield dg.MaterializeResult(asset_key=written_key(sync), metadata=metadata.of_report(report))
    yield from checks.results(sync, report)
    if report.equal is False:
        failed[sync.spec.table or ""] = unequal(sync, report)


def _summary(failed: Mapping[str, str], total: int) -> str:
    lines = [f"{table}: {reason}" for table, reason in list(failed.items())[:_SHOWN]]
    more = f" (and {len(failed) - _SHOWN} more)" if len(failed) > _SHOWN else ""
    return f"{len(failed)} of {total} tables failed: {'; '.join(lines)}{more}"
