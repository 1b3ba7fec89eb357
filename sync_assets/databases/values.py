"""Values that several databases write in the same way. Knows no driver."""

from __future__ import annotations

import json
import re

_PIECES = re.compile(r'("(?:[^"\\]|\\.)*")|\s+', re.S)


def canonical_json(text: str) -> str:
    """Compact, with characters as they are instead of escapes; keys keep their order and numbers their digits.

    Works on the text rather than on parsed values: a parser would turn 1.10 into 1.1 and lose long decimals.
    """
    if "\\" in text:
        return _PIECES.sub(_piece, text)
    parts = text.split('"')  # nothing is escaped: what is outside of strings is every other part
    parts[::2] = ["".join(part.split()) for part in parts[::2]]
    return '"'.join(parts)


def _piece(match: re.Match[str]) -> str:
    string = match.group(1)
    if string is None or "\\" not in string:
        return string or ""
    try:
        plain = json.dumps(json.loads(string), ensure_ascii=False)
        plain.encode()
    except ValueError:  # half a surrogate pair, or no JSON after all
        return str(string)
    return plain
