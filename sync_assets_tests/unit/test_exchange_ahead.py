"""One page is read ahead, no more; what goes wrong comes at its place; whoever stops is not held up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sync_assets.exchange.ahead import ahead


def test_the_same_pages_in_the_same_order() -> None:
    assert list(ahead(iter(range(50)))) == list(range(50))
    assert list(ahead(iter([]))) == []


def test_the_next_page_comes_while_one_is_worked_at() -> None:
    asked = [threading.Event() for _ in range(3)]

    def pages() -> Iterator[int]:
        for n, event in enumerate(asked):
            event.set()
            yield n

    reading = ahead(pages())
    assert next(reading) == 0
    assert asked[1].wait(10)
    assert not asked[2].is_set()  # one ahead: what is held stays bounded
    assert list(reading) == [1, 2]


def test_trouble_comes_where_its_page_would() -> None:
    def pages() -> Iterator[int]:
        yield 0
        yield 1
        raise ConnectionError("gone")

    reading = ahead(pages())
    assert [next(reading), next(reading)] == [0, 1]
    with pytest.raises(ConnectionError, match="gone"):
        next(reading)


def test_whoever_stops_does_not_wait_for_what_was_asked() -> None:
    begun, end = threading.Event(), threading.Event()

    def pages() -> Iterator[int]:
        yield 0
        begun.set()
        end.wait(30)
        yield 1

    reading = ahead(pages())
    assert next(reading) == 0
    assert begun.wait(10)
    reading.close()
    assert not end.is_set()
    end.set()
