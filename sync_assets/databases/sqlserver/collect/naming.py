"""How accounts of a SQL Server are called: a login by its own name, a user or role of a database ``[database].[name]``.

Both kinds live in one list, so no two may be spelled alike: a login whose own name begins with a bracket is put into
brackets, too. Knows no catalog.
"""

from __future__ import annotations


def login(name: str) -> str:
    return _bracketed(name) if name.startswith("[") else name


def inside(database: str, name: str) -> str:
    """A user or role of a database."""
    return f"{_bracketed(database)}.{_bracketed(name)}"


def principal(part: str, name: str) -> str:
    """The account `name` of the server (part "") or of the database `part`."""
    return inside(part, name) if part else login(name)


def _bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"
