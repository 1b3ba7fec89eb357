"""SQLite's declared types, and values that do not fit them although SQLite takes them."""

from __future__ import annotations

from hypothesis import strategies as st

from sync_assets.testing.tables.kinds import JSONS, NASTY, Kind, dates, documents, moments, named, texts

_FLOATS = (0.1, 1e308, 5e-324, -2.5, 1e22, 1e23, 1e15, 1e16, 100.0)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)

SQLITE = named(
    (
        Kind(
            "integer",
            "integer",
            "number",
            (-(2**63), 0, 2**63 - 1),
            ("twelve", 1.5, b"\0"),
            st.integers(-(2**63), 2**63 - 1),
            core=True,
        ),
        Kind("bigint", "bigint", "number", (-(2**63), 0, 2**63 - 1), (), st.integers(-(2**63), 2**63 - 1), core=True),
        Kind("real", "real", "float", _FLOATS, ("abc", b"\0", float("inf")), _FINITE, core=True),
        Kind("text", "text", "text", NASTY, (b"\xff",), texts(), core=True),
        Kind(
            "varchar(20)",
            "varchar(20)",
            "text",
            ("", "a"),
            ("longer than its twenty characters",),
            texts(20),
            core=True,
        ),
        Kind(
            "blob", "blob", "bytes", (b"", b"\0", b"\x00\xff\\\n\t\r"), ("text", 5), st.binary(max_size=40), core=True
        ),
        Kind("boolean", "boolean", "bool", (0, 1), (2, "yes"), None, core=True),
        Kind(
            "date",
            "date",
            "date",
            ("2024-02-29", "1000-01-01", "9999-12-31"),
            ("soon", "2024-02-31", 5),
            dates(1000),
            core=True,
        ),
        Kind(
            "datetime",
            "datetime",
            "moment",
            ("2024-02-29 23:59:59.999999", "2024-02-29 23:59:59"),
            ("2024-02-29T23:59:59", "soon", 5, "2024-02-29"),
            moments(6, 1000),
            core=True,
        ),
        Kind("decimal(20,4)", "decimal(20,4)", "number", ("1.5", 7, -2.25), ("abc",), None, core=True),
        Kind("json", "json", "json", JSONS, ("no json",), documents(), core=True),
        Kind(
            "uuid",
            "uuid",
            "uuid",
            ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",),
            ("no uuid",),
            st.uuids().map(str),
            core=True,
        ),
        Kind("no type", "", "text", ("a", ""), (1, 1.5, b"\0"), texts()),
    )
)
