"""Lists of the command line show moments in the deployment's zone and name it; no list says UTC of its own accord."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sync_assets.cli import clock
from sync_assets.engine.errors import Stop

MOMENT = datetime(2026, 3, 28, 23, 59, 58, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        (None, "2026-03-29 07:59"),
        ("Europe/Berlin", "2026-03-29 00:59"),
        ("America/New_York", "2026-03-28 19:59"),
    ],
)
def test_moments_are_those_of_the_deployment(zone: str | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNC_ASSETS_TIME_ZONE", raising=False)
    if zone:
        monkeypatch.setenv("SYNC_ASSETS_TIME_ZONE", zone)
    assert (clock.told(MOMENT), clock.told(MOMENT, seconds=True)) == (told, f"{told}:58")
    assert clock.named("began") == f"began ({zone or 'Asia/Shanghai'})"
    assert clock.told(None) == ""


def test_a_zone_that_does_not_exist_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ASSETS_TIME_ZONE", "Asia/Peking")
    with pytest.raises(Stop, match="SYNC_ASSETS_TIME_ZONE"):
        clock.told(MOMENT)


def test_no_list_has_a_zone_of_its_own() -> None:
    sources = Path(clock.__file__).parent.glob("*.py")
    assert [path.name for path in sources if "(UTC)" in path.read_text(encoding="utf-8").replace("now(UTC)", "")] == []
