"""What becomes of a thing that came when we have it already: version before clock.

Pure. Of a document the higher version wins, whatever the clocks say. Repositories and tasks have no version: there the
newer time stamp wins. Must not know tables.
"""

from __future__ import annotations

from datetime import datetime

from sync_assets.exchange.model import Did


def by_clock(same: bool, ours: datetime | None, theirs: datetime | None) -> Did:
    """For what has no version. At the same moment, or without one, the sender is believed."""
    if same:
        return Did.UNCHANGED
    return Did.OLDER if ours is not None and theirs is not None and theirs < ours else Did.UPDATED


def by_version(
    ours: tuple[int, datetime | None], theirs: tuple[int, datetime | None], *, same_text: bool, same: bool
) -> Did:
    """For documents: (version, updated at) of ours and of theirs.

    `same_text`: title, file name and content are equal; `same`: so is all else. Two texts of one version are two edits:
    the newer is taken, and where none is newer for certain nobody's text is overwritten.
    """
    if theirs[0] != ours[0]:
        return Did.UPDATED if theirs[0] > ours[0] else Did.OLDER
    if same_text:
        return by_clock(same, ours[1], theirs[1])
    newer = ours[1] is not None and theirs[1] is not None and theirs[1] > ours[1]
    return Did.UPDATED if newer else Did.CONFLICT
