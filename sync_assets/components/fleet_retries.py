"""Another try, later the same day, for instances that failed for a passing reason.

The ledger says which: it has a gap for each, with its reason. A refused login is never tried again by itself: the
server would lock our account. Must not collect anything itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.fleet_assets import Made
from sync_assets.components.fleet_body import CLASSES, INVENTORY, PERMISSIONS, SNAPSHOT, asset_key
from sync_assets.components.fleet_requests import FLEET_TAG, Clock, order, running, runs_over
from sync_assets.components.partitions import run_request

if TYPE_CHECKING:
    from sync_assets.fleet.capacity import Gap

RETRY_EVERY = timedelta(minutes=30)
TRIES = 8  # runs that have failed for one instance on one day
PASSING = ("dns", "refused", "timeout", "lost", "protocol")


def may_pass(gap: "Gap") -> bool:
    """Whether another try of ours may still close the gap, on its day."""
    return gap.reason in PASSING and gap.attempts < TRIES


def retries(made: Made, now: Clock) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        moment = now()
        today = moment.astimezone(made.fleet.time_zone).date()
        last: dict[str, float] = json.loads(context.cursor) if context.cursor else {}
        requests: list[dg.RunRequest] = []
        for name, kind in (("accounts", "accounts"), (SNAPSHOT, "capacity")):
            asked = datetime.fromtimestamp(last.get(kind, 0), UTC)
            failed = _again(made, kind, today, moment) if moment - asked >= RETRY_EVERY else []
            if failed and not running(context.instance, made.step(name)):
                requests += _tries(made, context.instance, name, today, failed)
                last[kind] = moment.timestamp()
        return dg.SensorResult(
            run_requests=requests, cursor=json.dumps(last), skip_reason=None if requests else "nothing to try again"
        )

    return tick


def _again(made: Made, kind: str, today: date, moment: datetime) -> list[str]:
    """Instances with a gap of today that may close by itself, and that was not tried a moment ago."""
    return [
        gap.instance
        for gap in made.execution.gaps(made.fleet, today)
        if gap.kind == kind and may_pass(gap) and moment - gap.recorded_at >= RETRY_EVERY
    ]


def _tries(
    made: Made, instance: dg.DagsterInstance, name: str, today: date, failed: Sequence[str]
) -> Iterator[dg.RunRequest]:
    assets = [SNAPSHOT] if name == SNAPSHOT else [INVENTORY, PERMISSIONS, CLASSES]
    members = {made.cut.member_of(one) if name == SNAPSHOT else one for one in failed}
    wanted = [cuts.snapshot_key(today, m) for m in sorted(members)] if name == SNAPSHOT else sorted(members)
    for keys in runs_over(wanted, order(made, instance, name, today)):
        yield run_request(
            [asset_key(made.fleet.name, asset) for asset in assets], keys, tags={FLEET_TAG: made.step(name)}
        )
