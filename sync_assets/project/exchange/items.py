"""How the exchange of one repository came out: values that a caller shows and counts. Knows no database, no Dagster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sync_assets.engine.errors import Retry, SyncError
from sync_assets.exchange.model import Id
from sync_assets.exchange.work import DocumentOutcome, SyncState, SyncStatus, Unit, UnitStatus


@dataclass(frozen=True, slots=True)
class Item:
    """One repository. `state` is the sync as it ended, None where none could begin; `error` what kept it from that,
    or broke it off. `waited`: another process was at it already, and this is what that came to."""

    repository_id: Id
    state: SyncState | None = None
    units: tuple[Unit, ...] = ()
    error: SyncError | None = None
    seconds: float = 0.0
    waited: bool = False

    @property
    def good(self) -> bool:
        """Whether all of it arrived, or the receiver had something newer."""
        return self.error is None and self.state is not None and self.state.status is SyncStatus.COMPLETED

    @property
    def passing(self) -> bool:
        """Whether the same may succeed later by itself."""
        return isinstance(self.error, Retry)

    @property
    def begun(self) -> bool:
        """Whether the repository itself arrived, so that its tasks could follow."""
        return self.state is not None and (bool(self.units) or self.good)

    @property
    def trouble(self) -> str:
        """Why it is not good, in a line; empty where it is."""
        if self.good:
            return ""
        if self.error is not None or self.state is None:
            return str(self.error or "it did not begin")
        state = self.state
        if state.error and not state.failed:
            return state.error
        first = next((f"{name}: {error}" for name, error in self._failures()), state.error or str(state.status))
        return f"{state.failed} of {state.total} tasks failed; {first}"

    @property
    def documents(self) -> tuple[DocumentOutcome, ...]:
        return tuple(document for unit in self.units for document in unit.documents)

    def counted(self) -> dict[UnitStatus, int]:
        """Documents by outcome, every outcome named: their sum is the number of documents."""
        found = Counter(document.status for document in self.documents)
        return {status: found[status] for status in UnitStatus}

    def _failures(self) -> Iterator[tuple[str, str]]:
        for unit in self.units:
            if unit.status is UnitStatus.FAILED:
                yield f"task {unit.task_id}", unit.error
