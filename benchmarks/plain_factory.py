"""The assets of `benchmarks.definitions` as somebody would write them by hand: plain Python, no YAML, no validation."""

from collections.abc import Iterator
from typing import Any

import dagster as dg


def definitions(syncs: int, files: int, *, bare: bool) -> dg.Definitions:
    """The definitions of that many syncs in that many groups."""
    partitions = dg.DailyPartitionsDefinition("2026-10-01", timezone="Asia/Shanghai", end_offset=1)
    parts = []
    for file in range(files):
        names = [f"sync_{file}_{at}" for at in range(syncs // files)]
        boards = [_board(name, f"app_{file}", partitions, bare) for name in names]
        sources = [_source(f"{name}_rows", f"app_{file}", partitions) for name in names]
        job = dg.define_asset_job(f"app_{file}_sync", selection=dg.AssetSelection.assets(*boards))
        schedule = dg.ScheduleDefinition(name=f"app_{file}_schedule", job=job, cron_schedule="0 9 * * *")
        parts.append(dg.Definitions(assets=[*boards, *sources], schedules=[] if bare else [schedule]))
    return dg.Definitions.merge(*parts, dg.Definitions(executor=dg.in_process_executor))


def _board(name: str, group: str, partitions: dg.PartitionsDefinition, bare: bool) -> Any:
    key = dg.AssetKey(["feishu", name])
    source = dg.AssetKey(["shop", f"{name}_rows"])
    checks = ("counts_balance", "target_equals_source", "rejected_rows", "key_unique_in_source")
    more: dict[str, Any] = {
        "check_specs": [dg.AssetCheckSpec(check, asset=key) for check in checks],
        "pool": f"bitable_{name}",
        "kinds": {"feishu", "mysql"},
        "description": "of shop to a board",
        "metadata": {"mode": "full", "board": dg.MetadataValue.url("https://acme.feishu.cn/base/b")},
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "output_required": False,
    }

    @dg.asset(key=key, deps=[source], partitions_def=partitions, group_name=group, **({} if bare else more))  # type: ignore[untyped-decorator]
    def board() -> Iterator[Any]:
        yield from ()

    return board


def _source(name: str, group: str, partitions: dg.PartitionsDefinition) -> Any:
    @dg.observable_source_asset(key=["shop", name], group_name=group, partitions_def=partitions)
    def source() -> None: ...

    return source
