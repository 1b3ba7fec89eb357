"""Giving packs to the other side, so that one that cannot be taken does not hold up the rest.

A repository that the peer does not know is sent again, and then the packs, once. A call that is too big is halved; one
that the peer fails at is sent pack by pack, until several fail in succession: then it is the peer. Must not know HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sync_assets.engine.errors import RejectRow, Retry, SyncError, TooLarge
from sync_assets.exchange.model import Id, Library, PackReceived, Repository, TaskPack
from sync_assets.exchange.work import Peer

UNKNOWN_REPOSITORY = "unknown_repository"
IN_SUCCESSION = 3
LOCAL_TRIES = 5
Outcome = PackReceived | SyncError
_Result = TypeVar("_Result")


def patient(call: Callable[[], _Result], sleep: Callable[[float], None] = time.sleep) -> _Result:
    """Call our own database, again while its trouble passes. What is called may be repeated. Raises what it raises."""
    for tried in range(1, LOCAL_TRIES):
        try:
            return call()
        except Retry as error:
            sleep(max(error.after, 0.5 * 2**tried))
    return call()


@dataclass(slots=True)
class ToPeer:
    """Sends to a peer. Raises `Retry` when the peer cannot be reached or fails at everything, and `Stop`."""

    peer: Peer
    repository: Repository
    sync_id: str
    replacing: bool = False
    failing: int = 0  # packs in succession that the peer failed at

    def deliver(self, packs: Sequence[TaskPack]) -> list[Outcome]:
        """The outcome of each pack, in order."""
        outcomes = self._divided(packs)
        unknown = [n for n, outcome in enumerate(outcomes) if _is_unknown(outcome)]
        if unknown:
            self.put_repository()
            again = self._divided([packs[n] for n in unknown])
            for n, outcome in zip(unknown, again, strict=True):
                outcomes[n] = outcome
        return outcomes

    def put_repository(self) -> Id:
        """The peer's id of the repository, which is there from now on; 0 where it does not say."""
        return self.peer.put_repository(self.repository, self.sync_id, replacing=self.replacing)

    def _divided(self, packs: Sequence[TaskPack]) -> list[Outcome]:
        try:
            outcomes = list(self.peer.put_packs(packs, self.sync_id))
        except TooLarge as error:
            return self._halves(packs) if len(packs) > 1 else [error]
        except RejectRow as error:
            return self._singly(packs) if len(packs) > 1 else [error]
        except Retry as error:
            if not _failed_inside(error):
                raise
            return self._singly(packs) if len(packs) > 1 else [self._counted(error)]
        return [self._judged(outcome) for outcome in outcomes]

    def _judged(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Retry) and _failed_inside(outcome):
            return self._counted(outcome)
        self.failing = 0
        return outcome

    def _halves(self, packs: Sequence[TaskPack]) -> list[Outcome]:
        middle = len(packs) // 2
        return [*self._divided(packs[:middle]), *self._divided(packs[middle:])]

    def _singly(self, packs: Sequence[TaskPack]) -> list[Outcome]:
        return [outcome for pack in packs for outcome in self._divided([pack])]

    def _counted(self, error: Retry) -> SyncError:
        self.failing += 1
        if self.failing >= IN_SUCCESSION:
            raise error
        return error


@dataclass(frozen=True, slots=True)
class ToLibrary:
    """Writes what a peer gave to our own library."""

    library: Library
    origin: str
    repository: Repository  # as the origin knows it
    sleep: Callable[[float], None]

    def deliver(self, packs: Sequence[TaskPack]) -> list[Outcome]:
        """The outcome of each pack, in order. Raises `Retry` when our database stays out of reach, and `Stop`."""
        outcomes = self._put(packs)
        unknown = [n for n, outcome in enumerate(outcomes) if _is_unknown(outcome)]
        if unknown:  # somebody deleted it meanwhile
            self.repository_id()
            for n, outcome in zip(unknown, self._put([packs[n] for n in unknown]), strict=True):
                outcomes[n] = outcome
        return outcomes

    def repository_id(self) -> Id:
        """Our id of the repository, which is there from now on."""
        return patient(lambda: self.library.put_repository(self.origin, self.repository), self.sleep).id

    def _put(self, packs: Sequence[TaskPack]) -> list[Outcome]:
        return list(patient(lambda: self.library.put_packs(self.origin, packs), self.sleep))


def _is_unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, SyncError) and outcome.code == UNKNOWN_REPOSITORY


def _failed_inside(error: Retry) -> bool:
    """Whether the peer answered that it failed: then it may be for what was sent."""
    return error.code.startswith("http_5")
