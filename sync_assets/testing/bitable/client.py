"""The emulator in a process of its own, and the way to steer it from a test or a demo."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from sync_assets.engine.errors import Stop
from sync_assets.testing.bitable.config import Config
from sync_assets.testing.bitable.faults import Kind

Cells = Mapping[str, Any]


class Emulator:
    """A running emulator. `url` takes the place of ``https://open.feishu.cn``; boards are at the same address."""

    def __init__(self, url: str, process: subprocess.Popen[str] | None = None, noise: TextIO | None = None) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._process = process
        self._noise = noise
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=60)
        self.app_id = self.app_secret = ""
        self._about(self._do("about"))

    @classmethod
    def start(cls, config: Config | None = None, *, port: int = 0, state: Path | None = None) -> Emulator:
        """Start one, with its control open, that ends with this process. Raises Stop when it does not come up."""
        command = [sys.executable, "-m", "sync_assets.testing.bitable", "--control", "--with-parent"]
        command += ["--port", str(port), "--config", (config or Config()).to_json()]
        command += ["--state", str(state)] if state else []
        noise = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, text=True)
        url = (process.stdout.readline() if process.stdout else "").strip()
        if not url:
            _end(process)
            noise.seek(0)
            told = noise.read()[-500:]
            noise.close()
            raise Stop(f"the Bitable emulator did not start: {told}", hint="is the port free?")
        return cls(url, process, noise)

    def noise(self) -> str:
        """What the process said on its error output: nothing, unless the emulator itself has a fault."""
        if self._noise is None:
            return ""
        self._noise.seek(0)
        return self._noise.read()

    def stop(self) -> None:
        """End the process (boards are saved first, where there is a state file)."""
        self._http.close()
        if self._process is not None:
            _end(self._process)
        if self._noise is not None:
            self._noise.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _do(self, verb: str, **args: Any) -> dict[str, Any]:
        answer = self._http.post(f"/_emulator/{verb}", json=args)
        content: dict[str, Any] = answer.json()
        if answer.status_code != 200:
            raise Stop(f"emulator, {verb}: {content.get('msg')}", code=str(content.get("code", "")))
        return content

    def _about(self, told: Mapping[str, str]) -> None:
        self.app_id, self.app_secret = told["app_id"], told["app_secret"]

    # -- the world ----------------------------------------------------------------------------------------------

    def reset(self, **config: Any) -> None:
        """Begin again with nothing, a fresh `app_id`, and the settings of the start with these changed."""
        self._about(self._do("reset", config=config))

    def configure(self, **config: Any) -> None:
        """Change settings from now on."""
        self._do("configure", config=config)

    def make_app(self, scopes: Sequence[str] | None = None, secret: str = "") -> tuple[str, str]:
        """One more app: its id and secret (a random one unless given)."""
        told = self._do("make_app", scopes=scopes, secret=secret)
        return told["app_id"], told["app_secret"]

    def expire_tokens(self) -> None:
        """Every token that was issued is refused from now on."""
        self._do("expire_tokens")

    def forget_client_tokens(self) -> None:
        """As if the lifetime of every client_token were over."""
        self._do("forget_client_tokens")

    # -- boards -------------------------------------------------------------------------------------------------

    def make_base(
        self,
        name: str,
        tables: Sequence[Mapping[str, Any]] = (),
        time_zone: str | None = None,
        app_token: str | None = None,
    ) -> str:
        """A base that every app may edit; `tables` are {name, fields}. Returns its app_token."""
        told = self._do("make_base", name=name, tables=list(tables), time_zone=time_zone, app_token=app_token)
        return str(told["app_token"])

    def make_table(self, app_token: str, name: str, fields: Sequence[Mapping[str, Any]] = ()) -> str:
        """A table; `fields` are bodies of the field-create call, the first one is primary. Returns its table_id."""
        return str(self._do("make_table", app_token=app_token, name=name, fields=list(fields))["table_id"])

    def make_node(self, obj_token: str, obj_type: str = "bitable", *, members: bool = True) -> str:
        """A wiki page that leads to a base; without `members` the apps may not read it."""
        return str(self._do("make_node", obj_token=obj_token, obj_type=obj_type, members=members)["node_token"])

    def set_permission(self, app_token: str, **rights: Any) -> None:
        """`right` ("edit", "read", "") for all apps or for `app_id`; `advanced`, `sees_rows` for the empty search."""
        self._do("set_permission", app_token=app_token, **rights)

    def link(self, app_token: str, table_id: str = "") -> str:
        """What a user would copy from the browser, and what shows the board."""
        return f"{self.url}/base/{app_token}" + (f"?table={table_id}" if table_id else "")

    def describe(self, app_token: str) -> dict[str, Any]:
        """{name, time_zone, revision, tables: [{table_id, name, revision, rows}]}"""
        return self._do("describe", app_token=app_token)

    def fields(self, app_token: str, table_id: str) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self._do("fields", app_token=app_token, table_id=table_id)["fields"]
        return told

    def rows(self, app_token: str, table_id: str) -> dict[str, dict[str, Any]]:
        """Every record: {record id: {field name: value}}, values as they were written, empty cells left out."""
        told: dict[str, dict[str, Any]] = self._do("rows", app_token=app_token, table_id=table_id)["rows"]
        return told

    def put_rows(
        self, app_token: str, table_id: str, rows: Sequence[Cells] | Mapping[str, Cells], user_id_type: str = "open_id"
    ) -> list[str]:
        """As a person at the board: a list makes records, a mapping of record ids changes them. Returns the ids."""
        given = dict(rows) if isinstance(rows, Mapping) else list(rows)
        told: list[str] = self._do(
            "put_rows", app_token=app_token, table_id=table_id, rows=given, user_id_type=user_id_type
        )["ids"]
        return told

    def delete_rows(self, app_token: str, table_id: str, ids: Sequence[str] | None = None) -> list[str]:
        """As a person at the board; all of them without `ids`."""
        told: list[str] = self._do(
            "delete_rows", app_token=app_token, table_id=table_id, ids=None if ids is None else list(ids)
        )["ids"]
        return told

    # -- bots ---------------------------------------------------------------------------------------------------

    def make_bot(self, secret: str = "", keywords: Sequence[str] = ()) -> str:
        """A group bot. Returns its webhook address."""
        return self.url + str(self._do("make_bot", secret=secret, keywords=list(keywords))["path"])

    def messages(self) -> list[dict[str, Any]]:
        """What bots received: [{bot, at, body}], oldest first."""
        told: list[dict[str, Any]] = self._do("messages")["messages"]
        return told

    # -- calls and faults ---------------------------------------------------------------------------------------

    def calls(self) -> dict[str, dict[str, Any]]:
        """Per endpoint: {calls, bytes_in, bytes_out, codes: {code: times}}. Endpoints never called are absent."""
        told: dict[str, dict[str, Any]] = self._do("calls")["counts"]
        return told

    def count(self, *endpoints: str) -> int:
        """How many calls there were: of all endpoints, or of those named."""
        return sum(c["calls"] for name, c in self.calls().items() if not endpoints or name in endpoints)

    def log(self) -> list[dict[str, Any]]:
        """The last calls one by one: {endpoint, code, path, client_token, and of batches rows, cells, fields}."""
        told: list[dict[str, Any]] = self._do("calls", log=True)["log"]
        return told

    def reset_calls(self) -> None:
        self._do("reset_calls")

    def fault(
        self,
        kind: Kind = "code",
        endpoint: str = "*",
        *,
        code: int = 1254290,
        status: int | None = None,
        seconds: float = 1.0,
        applied: bool = False,
        times: int | None = 1,
        probability: float = 1.0,
        skip: int = 0,
    ) -> None:
        """Arm a fault; its words are those of `faults.Fault`."""
        self._do(
            "fault",
            kind=kind,
            endpoint=endpoint,
            code=code,
            status=status,
            seconds=seconds,
            applied=applied,
            times=times,
            probability=probability,
            skip=skip,
        )

    def struck(self) -> list[int]:
        """How often each armed fault struck, in the order of arming."""
        told: list[int] = self._do("faults")["struck"]
        return told

    def clear_faults(self) -> None:
        self._do("clear_faults")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
