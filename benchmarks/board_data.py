"""The table that board benchmarks move: twenty columns of the kinds that a shop has, the same on every server.

Knows nothing of boards or of measuring. With `extra` there are twenty more columns, which no sync maps.
"""

from __future__ import annotations

EXTRA = 20

# name, type on PostgreSQL, type on MariaDB, expression over the row number i on PostgreSQL, on MariaDB
_COLUMNS = (
    ("id", "integer", "int", "i", "i"),
    ("order_no", "varchar(20)", "varchar(20)", "lpad(i::text, 10, '0')", "lpad(i, 10, '0')"),
    ("snowflake", "bigint", "bigint", "730000000000000000 + i::bigint * 7919", "730000000000000000 + i * 7919"),
    ("customer", "varchar(60)", "varchar(60)", "'客户 ' || i % 5000 || ' 😀'", "concat('客户 ', i % 5000, ' 😀')"),
    ("status", "varchar(10)", "varchar(10)", "(array['新建','已付','已发','完成'])[i % 4 + 1]",
     "elt(i % 4 + 1, '新建', '已付', '已发', '完成')"),
    ("channel", "varchar(10)", "varchar(10)", "(array['web','app','shop'])[i % 3 + 1]",
     "elt(i % 3 + 1, 'web', 'app', 'shop')"),
    ("amount", "numeric(12,2)", "decimal(12,2)", "i * 1.25", "i * 1.25"),
    ("tax", "numeric(10,4)", "decimal(10,4)", "i % 1000 * 0.0625", "i % 1000 * 0.0625"),
    ("quantity", "integer", "int", "i % 17", "i % 17"),
    ("weight", "double precision", "double", "i % 997 / 8.0", "i % 997 / 8.0"),
    ("paid", "boolean not null", "tinyint(1) not null", "i % 2 = 0", "i % 2 = 0"),
    ("gift", "boolean not null", "tinyint(1) not null", "i % 9 = 0", "i % 9 = 0"),
    ("day", "date", "date", "date '2026-01-01' + i % 300", "date '2026-01-01' + interval i % 300 day"),
    ("created_at", "timestamp(3)", "datetime(3)", "timestamp '2026-01-01' + i * interval '1 minute'",
     "timestamp '2026-01-01 00:00:00' + interval i minute"),
    ("updated_at", "timestamptz(3)", "timestamp(3)", "timestamptz '2026-01-01 00:00+00' + i * interval '37 second'",
     "timestamp '2026-01-01 00:00:00' + interval i * 37 second"),
    ("note", "text", "text", "case when i % 3 = 0 then '请在工作日送货，联系电话在单上 ' || i end",
     "case when i % 3 = 0 then concat('请在工作日送货，联系电话在单上 ', i) end"),
    ("email", "varchar(80)", "varchar(80)", "'user' || i || '@example.com'", "concat('user', i, '@example.com')"),
    ("phone", "varchar(20)", "varchar(20)", "'+86138' || lpad(i::text, 8, '0')", "concat('+86138', lpad(i, 8, '0'))"),
    ("details", "jsonb", "json", "jsonb_build_object('sku', i % 700, 'box', i % 5)",
     "json_object('sku', i % 700, 'box', i % 5)"),
    ("token", "uuid", "char(36)", "md5(i::text)::uuid",
     "insert(insert(insert(insert(md5(i), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')"),
)  # fmt: skip

NAMES = tuple(c[0] for c in _COLUMNS)
EXTRA_NAMES = tuple(f"extra_{n}" for n in range(EXTRA))


def create(kind: str, table: str, rows: int, *, extra: bool) -> list[str]:
    """Statements that make and fill the table on `kind` (postgres or mysql)."""
    at = 1 if kind == "postgres" else 2
    columns = [f"{c[0]} {c[at]}" for c in _COLUMNS] + [f"{n} varchar(200)" for n in EXTRA_NAMES if extra]
    filler = "repeat('unmapped ', 12) || i" if kind == "postgres" else "concat(repeat('unmapped ', 12), i)"
    values = [c[at + 2] for c in _COLUMNS] + [filler for _ in EXTRA_NAMES if extra]
    series = (
        f"generate_series(1, {rows}) as s(i)" if kind == "postgres" else f"(select seq as i from seq_1_to_{rows}) as s"
    )
    made = f"create table {table} ({', '.join(columns)}, primary key (id))"
    made += " character set utf8mb4" if kind == "mysql" else ""
    return [made, f"insert into {table} select {', '.join(values)} from {series}"]


def change(table: str, every: int) -> list[str]:
    """Change two columns of each `every`-th row."""
    note = "concat('changed ', id, coalesce(note, ''))"
    return [f"update {table} set amount = amount + 1, note = {note} where id % {every} = 0"]


def shrink(table: str, every: int) -> list[str]:
    return [f"delete from {table} where id % {every} = 0"]
