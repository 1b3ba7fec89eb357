"""How long from a change in the source to the row on the board: through a sensor, and through a run over GraphQL.

    python benchmarks/latency.py [--quick]

Everything real and on this machine: private MariaDB (or PostgreSQL), Dagster with daemon and web server, the Bitable
emulator with its documented rate limits. Prints every measurement, then medians. `--quick`: 3 instead of 10 of each.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from sync_assets.demo.play import CUSTOMERS, ORDERS, Stage, set_stage


def main() -> None:
    """Measure both ways and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 measurements of each instead of 10")
    times = 3 if parser.parse_args().quick else 10
    with set_stage(lambda text: print(f"   {text}", flush=True)) as stage:
        keys = sorted(k for group in stage.dagster.partitions(ORDERS).values() for k in group)
        stage.dagster.wait_run(stage.dagster.materialize(ORDERS, keys[0], keys[-1]))
        stage.dagster.wait_run(stage.dagster.materialize(CUSTOMERS))
        time.sleep(15)  # the sensor has seen the first load
        sensor = [_once(stage, "订单看板", _change_order) for _ in range(times)]
        direct = [_once(stage, "客户名册", _change_customer) for _ in range(times)]
    _print("sensor (looks every 5 s)", sensor)
    _print("run launched over GraphQL", direct)


def _once(stage: Stage, board: str, change: Callable[[Stage, str], str]) -> float:
    """Make one change marked by a new word, and wait until the board shows the word. Seconds."""
    mark = f"记号{time.monotonic_ns()}"
    started = time.monotonic()
    field = change(stage, mark)
    table = stage.tables()[board]
    while not _shows(stage.emulator.rows(stage.files.app_token, table), field, mark):
        if time.monotonic() - started > 120:
            raise SystemExit(f"{board}: the change did not arrive within 120 s")
        time.sleep(0.1)
    return time.monotonic() - started


def _shows(rows: dict[str, dict[str, Any]], field: str, mark: str) -> bool:
    return any(cells.get(field) == mark for cells in rows.values())


def _change_order(stage: Stage, mark: str) -> str:
    stage.shop.write(
        "update orders set note = %s, updated_at = current_timestamp(3) where order_no = (select * from "
        "(select max(order_no) from orders) newest)",
        (mark,),
    )
    return "备注"


def _change_customer(stage: Stage, mark: str) -> str:
    stage.shop.write("update customers set name = %s where customer_id = 1", (mark,))
    stage.dagster.materialize(CUSTOMERS)
    return "姓名"


def _print(way: str, seconds: list[float]) -> None:
    each = " ".join(f"{s:.1f}" for s in seconds)
    print(f"{way}: median {statistics.median(seconds):.1f} s, {min(seconds):.1f} to {max(seconds):.1f} ({each})")


if __name__ == "__main__":
    main()
