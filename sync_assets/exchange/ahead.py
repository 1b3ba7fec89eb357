"""Reads one ahead: the next page comes while the one before is worked at. Must not know what pages are."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Page = TypeVar("Page")


def ahead(pages: Iterator[Page]) -> Generator[Page, None, None]:
    """The same pages in the same order, each asked for by a thread as soon as the one before was given. What asking
    raises comes where its page would. Close it: then nothing more is asked for, and nobody waits for what was."""
    reader = ThreadPoolExecutor(1, thread_name_prefix="pages-ahead")
    try:
        coming = reader.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = reader.submit(next, pages, None)
            yield page
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
