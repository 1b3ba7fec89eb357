"""Brings the control database to the shape that this version needs. Alembic is loaded only when there is work.

A revision is a pair in `versions/`: NNNN_name.sql, which says what is done, and NNNN_name.py, which tells Alembic its
place in the row. Revisions only go forward. Must not know what the tables are used for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sync_assets.engine.errors import Stop

if TYPE_CHECKING:
    import psycopg
    from alembic.config import Config

SCHEMA = "sync_assets"
_FOLDER = Path(__file__).parent
_LOCK = 7_361_202_611  # any number that nobody else uses as an advisory lock in this database


def known() -> tuple[str, ...]:
    """The numbers of all revisions that this version has, oldest first; read from file names."""
    return tuple(sorted(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9]*_*.sql")))


def check(found: str | None, where: str) -> bool:
    """True when there is something to migrate. Raises `Stop` for a database newer than this version."""
    revisions = known()
    if found is not None and found not in revisions:
        raise Stop(
            f"the control database {where} has revision {found}; this sync_assets knows {revisions[-1]}",
            hint="a newer sync_assets has worked on it: upgrade this installation (database: no change was made)",
            code="database_newer",
        )
    return found != revisions[-1]


def migrate(connect: Callable[[], psycopg.Connection[Any]]) -> None:
    """Apply what is missing in one transaction, under an advisory lock: of many that start at once, one does it."""
    import sqlalchemy
    from alembic import command
    from sqlalchemy.pool import NullPool

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(sqlalchemy.text(f"create schema if not exists {SCHEMA}"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def apply(python_file: str) -> None:
    """Run the .sql file beside a revision's .py file."""
    from alembic import op

    script = Path(python_file).with_suffix(".sql").read_text(encoding="utf-8")
    cursor = op.get_bind().connection.cursor()  # as it is: SQLAlchemy would look for parameters in it
    cursor.execute(script)
    cursor.close()
