"""What must look suspicious before anything is written: an empty side, or too much to delete.

A board under advanced permissions answers "0 records" with success to an app that may not see them
(facts: bitable.md 1.3, item 3), and a source that lost its rows looks just like one that was emptied on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync_assets.engine.errors import Stop


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """`rows` may always go; above that, at most `share` of the records in scope."""

    share: float = 0.3
    rows: int = 20


def refuse_shrunken_target(sync: str, records: int, last: int | None) -> None:
    """Raise `Stop` when the scan shows far fewer records than the last run left behind."""
    if last is None or last - records <= 20 or records >= last / 2:
        return
    raise Stop(
        f"{sync}: the target shows {records} records where the last run left {last}",
        hint="if rows are hidden by advanced permissions, give the app the right to manage the base; "
        f"if they were deleted on purpose, run once: sync-assets run {sync} --accept-empty",
        code="target_shrunken",
    )


def refuse_empty_source(sync: str, read: int, scoped: int, allowed: bool) -> None:
    """Raise `Stop` when an empty source would empty the target."""
    if read == 0 and scoped and not allowed:
        raise Stop(
            f"{sync}: the source returned no rows, and clone would delete {scoped} records",
            hint="check the query; if an empty source is right this once, run sync-assets run "
            f"{sync} --accept-empty; if it always is, set allow_empty_source: true",
            code="empty_source",
        )


def refuse_mass_delete(sync: str, deletes: int, scoped: int, limit: DeleteLimit) -> None:
    """Raise `Stop` when more than the limit would be deleted."""
    if deletes > limit.rows and deletes > limit.share * scoped:
        raise Stop(
            f"{sync}: {deletes} of {scoped} records would be deleted; the guard allows "
            f"{max(limit.rows, int(limit.share * scoped))}",
            hint=f"look at: sync-assets plan {sync}; if it is right, raise delete_guard "
            f"(now share: {limit.share:g}, rows: {limit.rows})",
            code="delete_guard",
        )


def refuse_many_rejects(sync: str, rejected: int, known: int, limit: int) -> None:
    """Raise `Stop` when more rows than the limit cannot be written, before any is.

    `rejected` hold values that do not fit, `known` were refused by the target before and have not changed.
    """
    if rejected + known <= limit:
        return
    if known:
        hint = f"see the reasons with: sync-assets rejects {sync}; once the board was corrected, add --resend"
    else:
        hint = f"see the first reasons with: sync-assets plan {sync}; change the field types"
    raise Stop(
        f"{sync}: {rejected + known} rows cannot be written; the limit is {limit}",
        hint=f"{hint}, or raise reject_limit",
        code="reject_limit",
    )
