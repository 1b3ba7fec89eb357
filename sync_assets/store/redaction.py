"""Takes secrets out of log records by value, whatever wrote them: longest first, plain, escaped, URL-encoded, base64.

The last wall, not the first: messages are written so that they hold no secret. Must not know where secrets come
from; `secrets.Secret` announces each value here.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_SHORTEST = 4  # masking every "a" of a log would hide the log and show the secret
MASK = "***"
_forms: tuple[str, ...] = ()
_known: set[str] = set()
_lock = threading.Lock()


def remember(value: str) -> None:
    """From now on `redact` masks this value and its encodings."""
    global _forms
    if len(value) < _SHORTEST or value in _known:
        return
    with _lock:
        _known.add(value)
        _forms = _sorted(_forms, forms_of(value))


def _sorted(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    """Longest first: a secret that holds another would otherwise be left half masked."""
    return tuple(sorted({*old, *new}, key=lambda form: (-len(form), form)))


def forms_of(value: str) -> set[str]:
    """The value as logs may show it."""
    encoded = {quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    return {value, *encoded, *_base64_forms(value.encode())}


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Base64 of the value at each of the three offsets it may have inside a longer text (`user:password`)."""
    for offset, skip in ((0, 0), (1, 2), (2, 3)):
        whole = (offset + len(raw)) * 8 // 6  # characters that depend on nothing behind the value
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(b"\0" * offset + raw).decode()[skip:whole]
            if len(form) >= _SHORTEST:
                yield form
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode()


def redact(text: str) -> str:
    """The text with every remembered secret masked."""
    for form in _forms:
        if form in text:
            text = text.replace(form, MASK)
    return text


class RedactingFilter(logging.Filter):
    """Put on handlers (a logger's filter does not see its children's records). Masks message, traceback, stack."""

    _plain = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._plain.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def install(logger: logging.Logger | None = None) -> None:
    """Put the filter on every handler of `logger`, once. Default: the root logger, and what speaks when it has none."""
    handlers = list((logger or logging.getLogger()).handlers)
    if logger is None and logging.lastResort is not None:
        handlers.append(logging.lastResort)
    for handler in handlers:
        if not any(isinstance(f, RedactingFilter) for f in handler.filters):
            handler.addFilter(RedactingFilter())
