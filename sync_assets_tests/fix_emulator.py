"""A Bitable emulator for the whole test session, empty at the start of every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync_assets.testing.bitable import Config, Emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The process. Its rate limits are off; a test of pacing turns them on by `reset(rate_factor=1)`."""
    with Emulator.start(Config(rate_factor=0)) as running:
        yield running


@pytest.fixture
def bitable(emulator: Emulator) -> Emulator:
    """The emulator with nothing in it and a fresh app: `url`, `app_id`, `app_secret`."""
    emulator.reset()
    return emulator
