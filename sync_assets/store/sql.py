"""Reads named SQL: files of `-- name: purpose` blocks, so that statements are text with a place of their own.

Must not know what the statements do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString, cast

_HEAD = re.compile(r"^-- ([a-z_]+): (.+)$", re.MULTILINE)


def read_named(path: Path) -> Mapping[str, LiteralString]:
    """The statements of a file by name. The file is part of the package: its text is as good as a literal.

    Raises ValueError for a name used twice or text before the first name.
    """
    parts = _HEAD.split(path.read_text(encoding="utf-8"))
    if parts[0].strip():
        raise ValueError(f"{path.name}: text before the first name")
    names = parts[1::3]
    if len(set(names)) != len(names):
        raise ValueError(f"{path.name}: a name is used twice")
    return {name: cast(LiteralString, body.strip()) for name, body in zip(names, parts[3::3], strict=True)}
