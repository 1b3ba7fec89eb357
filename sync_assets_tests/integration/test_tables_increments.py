"""Mode incremental with a watermark updates newer rows, however a run finds them."""

from __future__ import annotations

import pytest

from sync_assets.engine.model import Counts, Mode
from sync_assets.engine.tables.job import Changes, Window
from sync_assets.engine.tables.reading import Condition
from sync_assets_tests.integration.test_tables_run import Between, between, items  # noqa: F401 (fixtures)

ALL = Window("all", (Condition("id", ">=", "0"), Condition("id", "<", "1000")))


@pytest.mark.parametrize(
    "found_by", [{"changes": Changes.HASH}, {"windows": (ALL,), "partitioned": True}, {"changes": Changes.WHOLE}]
)
def test_newer_rows_are_updated_and_older_ones_are_not(items: Between, found_by):  # noqa: F811
    job = items.job(mode=Mode.INCREMENTAL, watermark="n", **found_by)
    items.one(job)
    items.here.execute("update items set name = 'newer', n = n + 100 where id = 10")
    items.there.execute("update items set name = 'ours', n = n + 100 where id = 20")
    planned = items.one(job, dry=True)
    assert planned.counts.read == 300
    report = items.one(job)
    assert report.counts == Counts(read=300, updated=1, unchanged=299)
    assert report.equal is True
    rows = {row[0]: row[1] for row in items.rows()}
    assert (rows[10], rows[20]) == ("newer", "ours")
