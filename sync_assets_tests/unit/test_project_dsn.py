"""Whole addresses: what each part becomes, and that nothing of a wrong one is quoted."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.errors import Stop
from sync_assets.project.dsn import parse

RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("mysql://reader:pw@db.example/shop", {"type": "mysql", "port": 3306, "host": "db.example", "database": "shop"}),
    ("mariadb://reader:pw@db:3307/shop", {"type": "mysql", "port": 3307}),
    ("mysql+pymysql://reader:pw@db/shop?charset=utf8mb4", {"type": "mysql", "tls": None}),
    ("postgres://reader:pw@10.0.0.1/shop?sslmode=verify-full", {"type": "postgres", "port": 5432, "tls": "verify"}),
    ("postgresql://reader@[::1]:5433/shop?sslmode=disable", {"host": "::1", "password": None, "tls": "off"}),
    ("POSTGRES://a%40b:p%2Fw@db/%E5%BA%97", {"user": "a@b", "database": "店"}),
    (" mysql://reader:@db/shop \n", {"password": None}),
]


@pytest.mark.parametrize(("text", "parts"), RIGHT)
def test_a_right_address_is_taken_apart(text: str, parts: dict[str, Any]) -> None:
    found = parse(text)
    assert {name: getattr(found, name) for name in parts} == parts


@given(
    user=st.text(min_size=1).filter(lambda t: t.isprintable()),
    password=st.text(min_size=1),
    database=st.text(min_size=1),
)
def test_any_text_survives_percent_encoding(user: str, password: str, database: str) -> None:
    found = parse(f"mysql://{quote(user, safe='')}:{quote(password, safe='')}@db/{quote(database, safe='')}")
    assert (found.user, found.database) == (user, database)
    assert found.password is not None and found.password.reveal() == password


CANARY = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"host=db user=me password={CANARY}",
        f"oracle://me:{CANARY}@db/shop",
        f"mysql://me:{CANARY}@db",
        f"mysql://me:{CANARY}@/shop",
        f"mysql://me:{CANARY}@db:99999/shop",
        f"mysql://me:{CANARY}@db:{CANARY}/shop",
        f"mysql://me:a@{CANARY}@db/shop",
        f"mysql://me:a/{CANARY}@db/shop",
        f"mysql://me:a@h/{CANARY}@db/shop",
        f"mysql://me:a@h/db?{CANARY}@db/shop",
        f"mysql://me:a@h/db?{CANARY}",
        f"mysql://me:a@h/db?tls={CANARY}",
        f"mysql://me:a:{CANARY}@db/shop",
        f"mysql://me:a {CANARY}@db/shop",
        f"mysql://me:a#{CANARY}@db/shop",
        f"mysql://me:a%{CANARY}@db/shop",
        f"mysql://me:%ff{CANARY}@db/shop",
        f"mysql://me:{CANARY}@db/shop/more",
        f"mysql://{CANARY}@db\\x/shop",
        "",
    ],
)
def test_a_wrong_address_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(Stop) as refusal:
        parse(text, "the dsn of connection shop")
    assert refusal.value.message.startswith("the dsn of connection shop ")
    assert refusal.value.hint
    assert CANARY not in str(refusal.value)
    assert refusal.value.__cause__ is None
