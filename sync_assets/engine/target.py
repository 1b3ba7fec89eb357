"""What the engine asks of a target that is compared and written record by record (a Bitable board).

The target knows shapes, names and its remote; it does not know modes, plans, keys or retries of a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sync_assets.engine.model import Batch, Canonical, Canonise, CanoniseColumn, Column, Delivery, Record, Schema


@dataclass(frozen=True, slots=True)
class Mapped:
    """One source column and the target field that it fills."""

    column: Column
    index: int  # in the source row
    field: str
    canonise: Canonise  # source value -> canonical; raises RejectRow
    canonise_column: CanoniseColumn | None = None  # the same, faster, for many values at once


@dataclass(frozen=True, slots=True)
class Shape:
    """How source rows become records: decided once per run, before rows are compared."""

    mapped: tuple[Mapped, ...]
    notes: tuple[str, ...] = ()

    def position(self, column: str) -> int | None:
        """Where `column` stands among the mapped ones."""
        return next((i for i, m in enumerate(self.mapped) if m.column.name == column), None)


@dataclass(frozen=True, slots=True)
class Written:
    """What the target says it holds now, in the order that was sent. `values` None: it did not say."""

    id: str
    values: Mapping[int, Canonical] | None = None


@dataclass(slots=True)
class Traffic:
    """What went over the wire."""

    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one write may carry."""

    create_rows: int = 500
    update_rows: int = 500
    delete_rows: int = 500
    payload_bytes: int = 4_000_000  # far below what the gateway was seen to take; a smaller batch costs one call more


class Target(Protocol):
    """One table of a target system. Errors come sorted; calls repeat themselves while that is safe."""

    @property
    def link(self) -> str: ...

    @property
    def lease_name(self) -> str: ...

    @property
    def delivery(self) -> Delivery: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def traffic(self) -> Traffic: ...

    def fence(self, check: Callable[[], None]) -> None:
        """Call `check` just before every write goes out, each try of it; what it raises ends the call."""
        ...

    def open(self, schema: Schema) -> bool:
        """Look at what exists. True when values of the source are needed to decide the shape."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Names of the source columns that are used, once the target is open."""
        ...

    def shape(self, batches: Sequence[Batch], *, dry: bool) -> Shape:
        """Decide the shape (from `batches` where asked for) and create what is missing, unless `dry`."""
        ...

    def scan(self, *, extra: bool, only: tuple[str, str] | None = None) -> Iterator[Iterable[Record]]:
        """All records, page by page, each page to be looped over once.

        `extra`: name unmapped fields that hold something. `only`: (field, text part).
        """
        ...

    def create_part(self, values: Sequence[Canonical]) -> bytes:
        """One row of a create request, encoded."""
        ...

    def update_part(self, record: str, changes: Mapping[int, Canonical], clear: Sequence[str]) -> bytes: ...

    def payload(self, parts: Sequence[bytes]) -> bytes:
        """A request body from encoded rows."""
        ...

    def create(self, payload: bytes, token: str) -> Sequence[Written]: ...

    def update(self, payload: bytes) -> Sequence[Written]: ...

    def delete(self, ids: Sequence[str]) -> None: ...

    def absent(self, ids: Sequence[str]) -> set[str]:
        """Which of these records no longer exist."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Pending:
    """A row on its way: its key, its partition, and either all values (create) or the changed ones (update)."""

    key: str
    part: int
    body: bytes
    record: str = ""
    expect: Mapping[int, Canonical] = field(default_factory=dict)
    row: tuple[Canonical, ...] = ()  # the whole row, to fingerprint it if it is refused
