"""Trouble on demand: which call it hits, how often, and what happens then. Knows no board."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.limits import too_fast

Kind = Literal["code", "http", "latency", "cut", "reset"]


@dataclass(slots=True)
class Fault:
    """`code` refuses with a business code, `http` answers a bare status, `cut` closes the connection without an answer,
    `reset` does so with a TCP reset, `latency` waits `seconds` first.

    Without `applied` nothing was done when it strikes; with it the request took effect and only its answer is lost.
    It strikes calls of `endpoint` (a name, a group, read, write or *), after `skip` calls, with `probability`, `times`
    times (None: always).
    """

    kind: Kind = "code"
    endpoint: str = "*"
    code: int = 1254290
    status: int | None = None
    seconds: float = 1.0  # to wait, or told in x-ogw-ratelimit-reset
    applied: bool = False
    times: int | None = 1
    probability: float = 1.0
    skip: int = 0
    struck: int = 0

    def refusal(self) -> Refusal:
        if self.code == 99991400:
            slow = too_fast(reset=max(1, round(self.seconds)))
            slow.status = self.status or slow.status
            return slow
        return Refusal(self.code, status=self.status)


class Cut(Exception):
    """Close the connection; with `hard`, by a reset."""

    def __init__(self, hard: bool) -> None:
        super().__init__("cut")
        self.hard = hard


class Bare(Exception):
    """An answer of a gateway in between: a status and a text that is no JSON."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(slots=True)
class Armory:
    """The armed faults, oldest first. At most one strikes a call: the probabilities of those that match add up."""

    armed: list[Fault] = field(default_factory=list)

    def arm(self, settings: Mapping[str, Any]) -> None:
        self.armed.append(Fault(**settings))

    def strike(self, labels: frozenset[str], dice: random.Random) -> Fault | None:
        roll = dice.random()
        for fault in self.armed:
            if fault.endpoint not in labels or fault.times == fault.struck:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if roll < fault.probability:
                fault.struck += 1
                return fault
            roll -= fault.probability
        return None


def carry_out(fault: Fault) -> None:
    """Raise what the client is to see. Latency is not raised: the caller waits."""
    if fault.kind == "code":
        raise fault.refusal()
    if fault.kind == "http":
        raise Bare(fault.status or 502)
    if fault.kind in ("cut", "reset"):
        raise Cut(fault.kind == "reset")
