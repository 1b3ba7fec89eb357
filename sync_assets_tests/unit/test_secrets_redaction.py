"""The last wall: a secret that reaches a log is masked, in whatever form it got there."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.store.redaction import RedactingFilter, forms_of, install, redact, remember
from sync_assets.store.secrets import Secret

VALUE = "c@n/ary #1%'\" 密"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    logger = logging.getLogger("sync_assets_tests.redaction")
    logger.propagate = False
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger.addHandler(handler)
    install(logger)
    yield logger, written
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "shown",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        repr(VALUE)[1:-1],
        base64.b64encode(VALUE.encode()).decode(),
    ],
)
def test_every_form_is_masked(shown: str) -> None:
    Secret(VALUE)
    assert redact(f"<{shown}>") == "<***>"


@given(before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_base64_of_a_longer_text_is_masked(before: bytes, after: bytes) -> None:
    value = "the-canary-in-the-mine"
    remember(value)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(before + value.encode() + after).decode()
        assert "***" in redact(whole)
        assert len(redact(whole)) <= len(whole) - len(value)


def test_the_longest_goes_first() -> None:
    remember("abcdef-inner")
    remember("abcdef-inner-and-outer")
    assert redact("see abcdef-inner-and-outer") == "see ***"
    assert redact("see abcdef-inner") == "see ***"


def test_very_short_values_are_left_alone() -> None:
    remember("a")
    remember("")
    assert redact("a cat") == "a cat"


def test_the_filter_masks_message_arguments_traceback_and_stack(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    Secret(VALUE)
    logger.warning("password=%s", VALUE)
    logger.warning("url %s", {"u": f"mysql://root:{quote(VALUE, safe='')}@h"})
    try:
        raise RuntimeError(f"cannot log in with {VALUE}")
    except RuntimeError:
        logger.exception("it failed", stack_info=True)
    assert written.getvalue().count("***") >= 3
    assert not [form for form in forms_of(VALUE) if form in written.getvalue()]
    assert "Traceback" in written.getvalue()


def test_installing_twice_filters_once(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, _ = log
    install(logger)
    assert [type(f) for f in logger.handlers[0].filters] == [RedactingFilter]
