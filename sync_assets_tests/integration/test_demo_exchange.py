"""The demo's act of two installations, by itself: their gateways are processes, and what they did is looked up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sync_assets.demo.exchange import Exchanging, fifth_act, rows, write
from sync_assets.demo.installations import installations
from sync_assets.engine.errors import Stop
from sync_assets.store import embedded

Say = Callable[[str], None]


def test_it_says_what_happened_and_stays_open_until_the_end(own_home: Path) -> None:
    embedded.ensure_running(home=own_home)
    said: list[str] = []
    with fifth_act(own_home, said.append):
        pages = [line.partition("http")[2].partition(" ")[0] for line in said if line.startswith("page of")]
        assert len(pages) == 2
        for page in pages:
            assert httpx.get(f"http{page}/login", trust_env=False).status_code == 200
    text = "\n".join(said)
    assert text.count("300 documents compared") == 2
    assert "40 documents compared" in text
    assert "to the last time stamp" in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http{pages[0]}", trust_env=False)


def test_a_difference_is_seen(own_home: Path) -> None:
    """The comparison is not taken in by what the gateways say."""
    embedded.ensure_running(home=own_home)
    with installations(own_home, ("one", "One"), ("two", "Two")) as (one, two):
        act = Exchanging(one, two, lambda text: None)
        book = write(one, "book", 2, 2)
        act._push(book, "pushed")
        act._copy_of("book", book)
        rows(two, "update sync_assets.exchange_document set content = content || 'x' where document_id = 2")
        with pytest.raises(Stop, match="not the same"):
            act._copy_of("book", book)
