"""What dagster.yaml names: where Dagster keeps its own data, and a launcher that notices dead workers.

Everything is resolved anew in each process, from the environment and SYNC_ASSETS_HOME: the instance reference that
Dagster hands to run processes on their command line says only the names of these classes, never an address or a
password. Must not know components or syncs.

`MonitoredRunLauncher` and the storage touch private parts of Dagster 1.13: the minor version is pinned, and
integration/test_instance.py exercises them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import sqlalchemy
from dagster import DefaultRunLauncher
from dagster._config.config_schema import UserConfigSchema
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.auth import PgTokenProvider
from sqlalchemy.engine import URL

from sync_assets.store import embedded
from sync_assets.store.address import (
    DAGSTER_DATABASE,
    Address,
    dagster_address,
    dagster_is_embedded,
)
from sync_assets.store.home import home

_LOCK = 7_361_202_612  # advisory: one process makes Dagster's tables


class _Login(PgTokenProvider):
    """Asked before every connection. A dead embedded server is started again; the password is read anew each time,
    so that a changed one counts without a restart."""

    def get_token(self) -> str:
        address = embedded.revive(DAGSTER_DATABASE) if dagster_is_embedded() else dagster_address()
        return address.password.reveal() if address.password else ""

    def _fetch_token(self) -> tuple[str, float]:
        return self.get_token(), 0.0


class SyncAssetsStorage(DagsterPostgresStorage):
    """Runs, events and schedules in PostgreSQL: the one that `store.address` names. Takes no configuration."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SyncAssetsStorage":
        address = dagster_address()
        login = _Login() if address.password else None
        with _one_at_a_time(address):
            return cls(_url(address), inst_data=inst_data, token_provider=login)


def _url(address: Address) -> str:
    """Without the password: `_Login` gives it. psycopg2 by name, for SQLAlchemy 2.1 would take psycopg 3."""
    socket = address.host.startswith("/")
    query = {"host": address.host, "port": str(address.port)} if socket else {"sslmode": address.sslmode}
    url = URL.create(
        "postgresql+psycopg2",
        username=address.user,
        host=None if socket else address.host,
        port=None if socket else address.port,
        database=address.database,
        query=query,
    )
    return url.render_as_string()


@contextmanager
def _one_at_a_time(address: Address) -> Iterator[None]:
    """Dagster makes missing tables without a lock; web server, daemon and code server start at the same moment."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg2://", connect_args=address.arguments(), poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        made = sqlalchemy.text(
            "select count(*) from pg_tables where tablename in ('instance_info', 'event_logs', 'jobs')"
        )
        if connection.scalar(made) != 3:
            connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()  # the lock is the session's; an open transaction would only hold vacuum back
        yield


class SyncAssetsArtifacts(LocalArtifactStorage):
    """Files of runs below SYNC_ASSETS_HOME, so that DAGSTER_HOME, which is the project, stays clean."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SyncAssetsArtifacts":
        return cls(base_dir=str(_folder()), inst_data=inst_data)


class SyncAssetsComputeLogs(LocalComputeLogManager):
    """What runs print, below SYNC_ASSETS_HOME."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SyncAssetsComputeLogs":
        return cls(base_dir=str(_folder() / "compute_logs"), inst_data=inst_data)


def _folder() -> Path:
    folder = home() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class MonitoredRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, and a run whose code server is gone counts as dead.

    The code server reports a run process that dies. Nobody reports the code server: after a reboot or a kill of the
    whole service its runs would stay STARTED for ever. A code server that was replaced by a reload lives on until
    its runs are done, so whether it answers is the question, not whether it still lists the run.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # not launched yet, or finished since
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError as error:
            if _slow(error):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.FAILED, "the code server of this run is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def _slow(error: DagsterUserCodeUnreachableError) -> bool:
    """It took the call and did not answer in time: busy, not dead."""
    code = getattr(error.__cause__, "code", None)
    return code is not None and code() is grpc.StatusCode.DEADLINE_EXCEEDED
