"""Tables of any database as MySQL and MariaDB would have them: types, statements. Opens no connection.

From MySQL itself the types are taken over as they are; everything else is translated. Texts compare by their
characters here (a binary collation), so that keys that differ elsewhere stay different.
"""
# ruff: noqa: S608 (names are quoted, texts are literals)

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sync_assets.databases import structure
from sync_assets.databases.defaults import Default, plain
from sync_assets.databases.structure import Made, Table, prefixed, refused
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.drift import Difference, Kind, Native, fits
from sync_assets.engine.tables.shape import ColumnShape, ForeignKey, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Policy, Wanted

NAME_LENGTH = 64  # characters
KEY_BYTES = 3072  # of an index of InnoDB in its usual row format
ROW_BYTES = 65_535  # of a row without texts and blobs
_CHARACTER = 4  # bytes in utf8mb4
_VARCHAR = 4_000  # characters; longer ones become texts, which do not count towards the row
_TRANSACTIONAL = {"", "innodb", "rocksdb", "ndbcluster", "tokudb"}
BINARY = "utf8mb4_bin"
_LONG = ("longtext", "longblob", "json", "mediumtext", "mediumblob", "text", "blob", "tinytext", "tinyblob", "geometry")


def design(
    wanted: Sequence[Wanted],
    existing: Mapping[TableName, TableShape],
    source_dialect: str,
    policy: Policy,
    collation: str = BINARY,
) -> Design:
    """What must be done here so that tables of `source_dialect` can be held. Raises `Stop` for what cannot be.

    `collation` of texts that come from other databases: `collation_of(version)` knows the best one.
    """
    for one in wanted:
        here = existing.get(one.table)
        if here is not None and here.engine.lower() not in _TRANSACTIONAL:
            raise Stop(f"{one.table} is kept by the engine {here.engine}, which has no transactions",
                       hint=f"alter table {one.table} engine = InnoDB")  # fmt: skip
    return structure.design(_MySQL(collation), wanted, existing, source_dialect, policy)


def collation_of(version: str) -> str:
    """The binary collation of a server of this version that keeps blanks at the end apart, where there is one."""
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
    if "mariadb" in version.lower():
        return "utf8mb4_nopad_bin" if numbers >= (10, 2) else BINARY
    return "utf8mb4_0900_bin" if numbers >= (8, 0, 17) else BINARY


# -- types ----------------------------------------------------------------------------------------------------------


def native_of(column: ColumnShape, source_dialect: str, width: int = 0) -> Native | None:
    """The column's type here; None where nothing here holds its values. `width`: it is indexed, and an index has
    room for so many bytes of it."""
    if source_dialect == "mysql":
        if _GEOMETRY.match(column.native):
            return None
        return Native(column.native, replace(column, default=None, generated=None, identity=""))
    native = _RULES[column.type](column, source_dialect)
    return _indexable(native, width) if native is not None and width else native


def _made(column: ColumnShape, text: str, type: ColumnType, loss: str = "", **measures: object) -> Native:
    blank = ColumnShape(column.name, type, text, column.nullable, number=column.number, comment=column.comment)
    return Native(text, replace(blank, **measures), loss)  # type: ignore[arg-type]


def _integer(column: ColumnShape, dialect: str) -> Native:
    bits = column.bits or (64 if column.type is ColumnType.BIGINT else 32)
    sizes = ((16, "smallint"), (32, "int"), (64, "bigint"))
    size, text = next((size, text) for size, text in sizes if bits <= size)
    type = ColumnType.BIGINT if size == 64 else ColumnType.INTEGER
    spelled = f"{text} unsigned" if column.unsigned else text
    return _made(column, spelled, type, bits=size, unsigned=column.unsigned)


def _decimal(column: ColumnShape, dialect: str) -> Native:
    """MySQL has 65 digits, 30 of them behind the point. What needs more is refused, never rounded."""
    free = column.precision is None or dialect == "sqlite"
    precision, scale = (65, 30) if free else _digits(column.precision or 0, column.scale or 0)
    if free or precision > 65 or scale > 30:
        precision, scale = 65, 30
        loss = "NaN and numbers that need more digits are refused"
    else:
        loss = ""
    loss = loss or ("the sign of its currency is not kept" if column.native == "money" else "")
    return _made(column, f"decimal({precision},{scale})", ColumnType.DECIMAL, loss, precision=precision, scale=scale)


def _digits(precision: int, scale: int) -> tuple[int, int]:
    """PostgreSQL's scale may be negative, or larger than the precision."""
    return (precision - scale, 0) if scale < 0 else (max(precision, scale), scale)


def _float(column: ColumnShape, dialect: str) -> Native:
    single = column.bits == 32
    return _made(column, "float" if single else "double", ColumnType.FLOAT, bits=32 if single else 64)


def _text(column: ColumnShape, dialect: str) -> Native:
    length = None if dialect == "sqlite" else column.length
    loss = _TEXT_LOSSES.get(column.native.lower().split("(")[0], "")
    if length is None or length > _VARCHAR:
        return _made(column, "longtext", ColumnType.TEXT, loss)
    fixed = column.fixed and length <= 255
    return _made(column, f"{'char' if fixed else 'varchar'}({length})", ColumnType.TEXT, loss, length=length,
                 fixed=fixed)  # fmt: skip


_TEXT_LOSSES = {"citext": "is compared with case here", "xml": "is kept as its text, not checked to be XML"}


def _enum(column: ColumnShape, dialect: str) -> Native:
    """MySQL drops blanks at the end of an option, and takes digits for the option's number if they are none."""
    plain_words = all(o == o.rstrip() and not o.isdigit() and len(o) <= 255 for o in column.options)
    if column.options and plain_words and len({o.casefold() for o in column.options}) == len(column.options):
        text = f"enum({','.join(literal(o) for o in column.options)})"
        return _made(column, text, ColumnType.ENUM, options=column.options)
    return _made(column, "varchar(255)", ColumnType.TEXT, "its list of options is not enforced", length=255)


def _long(loss: str) -> structure.Rule:
    return lambda column, dialect: _made(column, "longtext", ColumnType.TEXT, loss)


def _time(column: ColumnShape, dialect: str) -> Native:
    if column.with_zone:
        return _made(column, "varchar(32)", ColumnType.TEXT, "a time with a zone is kept as its text", length=32)
    precision = _precision(column)
    return _made(column, f"time({precision})", ColumnType.TIME, precision=precision)


def _precision(column: ColumnShape) -> int:
    return 6 if column.precision is None else min(column.precision, 6)


def _datetime(column: ColumnShape, dialect: str) -> Native:
    precision = 6 if dialect == "sqlite" else _precision(column)
    return _made(column, f"datetime({precision})", ColumnType.DATETIME, precision=precision)


def _instant(column: ColumnShape, dialect: str) -> Native:
    """Not timestamp, which ends in January 2038."""
    native = _datetime(column, dialect)
    return replace(native, loss="holds UTC here, without a zone")


def _json(column: ColumnShape, dialect: str) -> Native:
    loss = "has the order of keys and the spelling of numbers that the source's jsonb gives it"
    return _made(column, "json", ColumnType.JSON, loss if column.native.lower() == "jsonb" else "")


def _blob(column: ColumnShape, dialect: str) -> Native:
    return _made(column, "longblob", ColumnType.BLOB)


def _uuid(column: ColumnShape, dialect: str) -> Native:
    return _made(column, "char(36)", ColumnType.TEXT, "is kept as its text", length=36, fixed=True)


_KNOWN = re.compile(
    r"(inet|cidr|macaddr8?|bit|bit varying|varbit|point|line|lseg|box|path|polygon|circle|tsvector|tsquery|jsonpath"
    r"|pg_lsn|pg_snapshot|txid_snapshot|xid8?|cid|tid|reg\w+|oidvector|int2vector|ltree|lquery|hstore"
    r"|\w+range|vector|halfvec|sparsevec)(\(.*\))?", re.A)  # fmt: skip


def _other(column: ColumnShape, dialect: str) -> Native | None:
    native = column.native.lower()
    if native.endswith("]"):
        return _made(column, "longtext", ColumnType.TEXT, "becomes a JSON array, as text")
    if dialect == "sqlite" or _KNOWN.fullmatch(native):
        return _made(column, "longtext", ColumnType.TEXT, "is kept as its text")
    return None


_GEOMETRY = re.compile("geom|point|linestring|polygon|multi|vector", re.I)  # not read, so not written
_RULES: Mapping[ColumnType, structure.Rule] = {
    ColumnType.BOOL: lambda column, dialect: _made(column, "tinyint(1)", ColumnType.BOOL),
    ColumnType.INTEGER: _integer, ColumnType.BIGINT: _integer, ColumnType.DECIMAL: _decimal,
    ColumnType.FLOAT: _float, ColumnType.TEXT: _text, ColumnType.ENUM: _enum,
    ColumnType.SET: _long("becomes a JSON array of its elements, as text"),
    ColumnType.DATE: lambda column, dialect: _made(column, "date", ColumnType.DATE),
    ColumnType.TIME: _time, ColumnType.DATETIME: _datetime, ColumnType.INSTANT: _instant,
    ColumnType.INTERVAL: _long("is kept as its text, in ISO 8601"), ColumnType.JSON: _json, ColumnType.UUID: _uuid,
    ColumnType.BLOB: _blob, ColumnType.OTHER: _other,
}  # fmt: skip


def _indexable(native: Native, width: int) -> Native:
    """A text or blob without a limit gets the one that the index has room for."""
    shape = native.shape
    if shape.type is ColumnType.BLOB:
        text = f"varbinary({width})"
        loss = f"is indexed: values of more than {width} bytes are refused"
    elif native.text == "longtext":
        width //= _CHARACTER
        text = f"varchar({width})"
        loss = f"is indexed: values of more than {width} characters are refused"
    else:
        return native
    return Native(text, replace(shape, native=text, length=width), "; ".join(filter(None, [native.loss, loss])))


def _key_bytes(shape: ColumnShape) -> int | None:
    """What the column takes of an index; None: it cannot be part of one."""
    if shape.native in _LONG or shape.type is ColumnType.JSON:
        return None
    if shape.type in (ColumnType.TEXT, ColumnType.BLOB):
        return (shape.length or 255) * (_CHARACTER if shape.type is ColumnType.TEXT else 1)
    if shape.type is ColumnType.DECIMAL:
        return (shape.precision or 65) // 2 + 1
    return 8


# -- statements -----------------------------------------------------------------------------------------------------


def quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def qualified(table: TableName) -> str:
    return f"{quote(table.schema)}.{quote(table.name)}"


def literal(text: str) -> str:
    """Backslashes are doubled: they escape, unless the session says otherwise."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quote(n) for n in names)


def _unless(found: str, statement: str) -> list[str]:
    """`statement` if the query `found` counts none: MySQL (not MariaDB) lacks IF NOT EXISTS for it."""
    chosen = f"set @sync_assets = if(({found}) = 0, {literal(statement)}, 'do 0')"
    return [chosen, "prepare sync_assets from @sync_assets", "execute sync_assets", "deallocate prepare sync_assets"]


@dataclass(frozen=True, slots=True)
class _MySQL:
    """`structure.Grammar`."""

    collation: str
    folded: bool = True

    def columns(self, wanted: Wanted, source_dialect: str, indexed: frozenset[str]) -> Sequence[Native]:
        width = _widths(wanted, source_dialect, indexed)
        found = []
        for column in wanted.columns:
            native = native_of(column, source_dialect, width if column.name in indexed else 0)
            if native is None:
                raise refused(wanted, column.name, column.native)
            found.append(self._collated(native, source_dialect))
        return found if source_dialect == "mysql" else _shortened(found, indexed)

    def _collated(self, native: Native, dialect: str) -> Native:
        shape = native.shape
        if shape.type not in (ColumnType.TEXT, ColumnType.ENUM, ColumnType.SET):
            return native
        collation = shape.collation if dialect == "mysql" else self.collation
        return replace(native, shape=replace(shape, collation=collation))

    def name_trouble(self, name: str) -> str:
        if any(ord(c) > 0xFFFF or c == "\0" for c in name):
            return "holds a character that MySQL has not in names"
        if not name or name.endswith(" "):
            return "ends with a blank"
        return "" if len(name) <= NAME_LENGTH else f"is longer than {NAME_LENGTH} characters"

    def default(self, default: Default, native: Native) -> str:
        """MySQL (not MariaDB) has no defaults for texts and blobs without a limit."""
        shape = native.shape
        if default.kind == "now":
            return _now(native)
        if default.kind not in ("number", "text", "bool") or native.text in _LONG or shape.type is ColumnType.BLOB:
            return ""
        return _constant(plain(default), shape.type)

    def counts(self, made: Native, table: Wanted) -> bool:
        """One column may, and it must be the first of a key."""
        whole = made.shape.type in (ColumnType.INTEGER, ColumnType.BIGINT)
        return whole and table.key[:1] == (made.shape.name,)

    def create(self, table: Table) -> Sequence[str]:
        lines = [_column(c) for c in table.columns]
        if table.key:
            lines.append(f"{'unique key' if table.unique else 'primary key'} ({_listed(table.key)})")
        inside = ",\n  ".join(lines)
        comment = f" comment {literal(table.comment[:2048])}" if table.comment else ""
        options = f"engine = InnoDB default character set utf8mb4 collate {BINARY} row_format = dynamic{comment}"
        return [*_database(table.name.schema),
                f"create table if not exists {qualified(table.name)} (\n  {inside}\n) {options}"]  # fmt: skip

    def add(self, table: TableName, made: Made) -> Sequence[str]:
        shape = made.native.shape
        free = not shape.nullable and not made.default
        native = replace(made.native, shape=replace(shape, nullable=True)) if free else made.native
        line = _column(replace(made, native=native, identity=False))
        found = f"select count(*) from information_schema.columns where {_at(table)} and column_name = "
        return _unless(found + literal(made.name), f"alter table {qualified(table)} add column {line}")

    def alter(self, table: TableName, difference: Difference) -> Sequence[str]:
        """MODIFY says the whole column anew, so all that is there is said again."""
        native, was = difference.native, difference.was
        if native is None or was is None or was.identity:
            return []
        if difference.kind is Kind.RENAMED:
            line = _spelled(native.shape.name, was.native, was, was.nullable)
            return [f"alter table {qualified(table)} change column {quote(was.name)} {line}"]
        text = was.native if fits(native.shape, was) else native.text  # a column may be widened and lose NOT NULL
        nullable = was.nullable or native.shape.nullable
        return [f"alter table {qualified(table)} modify column {_spelled(was.name, text, was, nullable)}"]

    def index(self, table: TableName, name: str, columns: Sequence[str], unique: bool) -> Sequence[str]:
        found = (
            f"select count(*) from information_schema.statistics where {_at(table)} and index_name = {literal(name)}"
        )
        kind = "unique index" if unique else "index"
        return _unless(found, f"create {kind} {quote(name)} on {qualified(table)} ({_listed(columns)})")

    def index_trouble(self, columns: Sequence[Native]) -> str:
        sizes = [_key_bytes(c.shape) for c in columns]
        long = [c.shape.name for c, size in zip(columns, sizes, strict=True) if size is None]
        if long:
            return f"needs a limit for the length of {', '.join(long)}"
        total = sum(size or 0 for size in sizes)
        return f"takes {total} bytes, and an index has {KEY_BYTES}" if total > KEY_BYTES else ""

    exact_references = True

    def foreign_key(self, table: TableName, key: ForeignKey) -> Sequence[str]:
        found = (
            "select count(*) from information_schema.table_constraints where constraint_type = 'FOREIGN KEY'"
            f" and {_at(table)} and constraint_name = {literal(key.name)}"
        )
        statement = (
            f"alter table {qualified(table)} add constraint {quote(key.name)} foreign key ({_listed(key.columns)})"
            f" references {qualified(key.to)} ({_listed(key.to_columns)}){_actions(key)}"
        )
        return _unless(found, statement)

    def position(self, table: TableName, column: str) -> Sequence[str]:
        return ()  # InnoDB goes on after the largest value by itself

    def object_name(self, table: TableName, name: str) -> str:
        """Names of foreign keys are one list for the whole database."""
        return prefixed(table, "".join(c for c in name if ord(c) <= 0xFFFF), NAME_LENGTH)


def _widths(wanted: Wanted, dialect: str, indexed: frozenset[str]) -> int:
    """Bytes for each indexed text without a limit: what the key's other columns leave, in equal parts."""
    natives = [native_of(c, dialect) for c in wanted.columns if c.name in indexed]
    sizes = [_key_bytes(n.shape) for n in natives if n is not None]
    open_ended = sizes.count(None)
    rest = max(KEY_BYTES - sum(size or 0 for size in sizes), 4 * _CHARACTER * max(open_ended, 1))
    return rest // max(open_ended, 1)


def _shortened(natives: Sequence[Native], indexed: frozenset[str]) -> list[Native]:
    """The longest texts become longtext until the row fits; what they take stays the same."""
    found = list(natives)
    while sum(_row_bytes(n.shape) for n in found) > ROW_BYTES - 1000:
        at = max(range(len(found)), key=lambda i: 0 if found[i].shape.name in indexed else _row_bytes(found[i].shape))
        shape = found[at].shape
        if shape.name in indexed or shape.type is not ColumnType.TEXT or shape.length is None:
            break
        found[at] = replace(
            found[at], text="longtext", shape=replace(shape, native="longtext", length=None, fixed=False)
        )
    return found


def _row_bytes(shape: ColumnShape) -> int:
    return 20 if shape.native in _LONG else 2 + (shape.length or 8) * _CHARACTER


def _at(table: TableName) -> str:
    return f"table_schema = {literal(table.schema)} and table_name = {literal(table.name)}"


_ACTIONS = {"CASCADE", "SET NULL", "RESTRICT"}


def _actions(key: ForeignKey) -> str:
    parts = [("delete", key.on_delete.upper()), ("update", key.on_update.upper())]
    return "".join(f" on {event} {action.lower()}" for event, action in parts if action in _ACTIONS)


def _now(native: Native) -> str:
    """The clock of the session: right for wall clocks, wrong for an instant that is kept in UTC."""
    if native.shape.type is not ColumnType.DATETIME and not native.text.lower().startswith("timestamp"):
        return ""
    if native.loss:
        return ""
    precision = native.shape.precision
    return f"current_timestamp({precision})" if precision else "current_timestamp"


def _constant(text: str, type: ColumnType) -> str:
    if type in (ColumnType.BOOL, ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.FLOAT):
        return text if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text, re.A) else ""
    if type is ColumnType.OTHER or "\\" in text:
        return ""
    return literal(text)


def _column(made: Made) -> str:
    shape = replace(made.native.shape, default=made.default or None, comment=made.comment)
    return _spelled(made.name, made.native.text, shape, shape.nullable, made.identity)


def _spelled(name: str, text: str, shape: ColumnShape, nullable: bool, identity: bool = False) -> str:
    parts = [quote(name), text]
    if shape.collation:
        parts.append(f"character set {shape.collation.split('_')[0]} collate {shape.collation}")
    parts.append("null" if nullable else "not null")
    if shape.default is not None and not identity:
        parts.append(f"default {shape.default}")
    if identity:
        parts.append("auto_increment")
    if shape.comment:
        parts.append(f"comment {literal(shape.comment[:1024])}")
    return " ".join(parts)


def _database(name: str) -> list[str]:
    """CREATE DATABASE IF NOT EXISTS asks for the right to create even where it is there."""
    found = f"select count(*) from information_schema.schemata where schema_name = {literal(name)}"
    return _unless(found, f"create database {quote(name)} character set utf8mb4")
