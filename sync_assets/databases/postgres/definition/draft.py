"""The design as it grows: statements, differences, and what the policy makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sync_assets.databases.postgres.definition.names import Name
from sync_assets.engine.tables.writing import Design, Policy


@dataclass(slots=True)
class Draft:
    """Statements in phases. `schemas` are those in which something is made before the rows. `strangers` are labels of
    what belongs to other users, `closed` the schemas in which this user may make nothing.
    """

    policy: Policy
    before: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    schemas: set[str] = field(default_factory=set)
    altered: set[str] = field(default_factory=set)  # labels of existing objects that `before` alters
    sequences: set[Name] = field(default_factory=set)  # that are made
    strangers: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()

    def safe(self, words: str, before: Iterable[str] = (), *, of: str = "", needed: bool = False) -> None:
        """A difference that can be mended. Without the policy to do so it stops, or, if rows go in all the same, is
        only told."""
        self.drift.append(words)
        if self.policy == "apply":
            statements = list(before)
            self.before += statements
            if of and statements:
                self.altered.add(of)
        elif self.policy == "stop" or needed:
            self.stops.append(words)

    def mend(self, words: str, before: Iterable[str], *, of: str) -> None:
        """A difference that rows go in with: mended where the policy and the rights allow it. It stops nobody."""
        statements = list(before)
        theirs = self.policy == "apply" and of in self.strangers
        self.drift.append(f"{words}; it is left so, for {of} belongs to another user" if theirs else words)
        if self.policy == "apply" and not theirs:
            self.before += statements

    def unsafe(self, words: str) -> None:
        """A difference that a person must decide about: rows may not go in, or not as they are."""
        self.drift.append(words)
        self.stops.append(words)

    def odd(self, words: str) -> None:
        """A difference that rows go in with, but that is not mended without a person."""
        self.drift.append(words)
        if self.policy != "ignore":
            self.stops.append(words)

    def note(self, words: str) -> None:
        """A difference that harms nothing."""
        self.drift.append(words)

    def missing(self, words: str, fresh: bool, phase: list[str], statements: Iterable[str]) -> None:
        """Something made after the rows. It may be the rest of an unfinished run, so that it is made under every
        policy but `ignore`."""
        if not fresh:
            self.drift.append(words)
            if self.policy == "ignore":
                return
        phase += statements

    @property
    def design(self) -> Design:
        after = [*self.keys, *self.indexes, *self.checks, *self.foreign, *self.last, *self.positions]
        return Design(
            tuple(self.before), tuple(dict.fromkeys(after)), tuple(dict.fromkeys(self.losses)),
            tuple(dict.fromkeys(self.stops)), tuple(dict.fromkeys(self.drift)),
        )  # fmt: skip
