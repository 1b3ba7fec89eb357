"""Moments as people read them: in the deployment's time zone, which is named beside them."""

from __future__ import annotations

from datetime import datetime


def zone() -> str:
    """Its name. Raises `Stop` when the environment names one that does not exist."""
    from sync_assets.project.load import time_zone_of_deployment

    return time_zone_of_deployment().key


def named(word: str) -> str:
    """The head of a column of moments."""
    return f"{word} ({zone()})"


def told(moment: datetime | None, *, seconds: bool = False) -> str:
    """A moment to the minute or second; '' for none."""
    from sync_assets.project.load import time_zone_of_deployment

    if moment is None:
        return ""
    return f"{moment.astimezone(time_zone_of_deployment()):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"
