"""`sync-assets serve`, `keys` and `users` as real processes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from sync_assets_tests.fix_gateway import signature

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import GatewayProcess

PASSWORD = "correct horse battery"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(gateway_process: GatewayProcess) -> Command:
    """Runs the command over the gateway's database."""

    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *words],
            cwd=gateway_process.folder, env=gateway_process.environment, input=stdin,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def _status(process: GatewayProcess, key: str, path: str = "/nothing") -> int:
    with process.gateway.client(key=key) as http:
        return http.get(path).status_code


def test_a_key_is_shown_once_and_ends_when_revoked(gateway_process: GatewayProcess, command: Command):
    made = command("keys", "create", "berlin", "--scope", "read", "--scope", "write:7")
    key = made.stdout.strip()
    assert made.returncode == 0 and key.startswith("sak_")
    assert _status(gateway_process, key) == 404
    listed = command("keys", "list").stdout
    assert "berlin" in listed and "read:* write:7" in listed
    key_id, secret = key.split("_", 2)[1:]
    assert secret not in listed and key_id in listed
    assert command("keys", "revoke", key_id).returncode == 0
    assert _status(gateway_process, key) == 401
    assert command("keys", "revoke", key_id).returncode == 2
    acts = gateway_process.gateway.rows("select action from sync_assets.gateway_audit order by number")
    assert [action for (action,) in acts] == ["keys.create", "keys.revoke"]


def test_a_name_belongs_to_one_key_and_scopes_are_checked(gateway_process: GatewayProcess, command: Command):
    assert command("keys", "create", "berlin", "--scope", "read").returncode == 0
    again = command("keys", "create", "berlin", "--scope", "read")
    assert again.returncode == 2 and "there is a key 'berlin' already" in again.stderr
    wrong = command("keys", "create", "paris", "--scope", "delete")
    assert wrong.returncode == 2 and "is no scope" in wrong.stderr


def test_a_user_logs_in_until_disabled(gateway_process: GatewayProcess, command: Command):
    assert command("users", "add", "li.lei", "--scope", "read", "--stdin", stdin=f"{PASSWORD}\n").returncode == 0
    assert "li.lei" in command("users", "list").stdout
    with gateway_process.gateway.client() as http:
        given = {"name": "li.lei", "password": PASSWORD}
        token = http.post("/api/v1/auth/login", json=given).json()["data"]["access_token"]
        assert _status(gateway_process, token) == 404
        assert command("users", "disable", "li.lei").returncode == 0
        assert _status(gateway_process, token) == 401
        assert http.post("/api/v1/auth/login", json=given).status_code == 401
        assert command("users", "password", "li.lei", "--stdin", stdin="another password").returncode == 0
        assert _status(gateway_process, token) == 401
        assert http.post("/api/v1/auth/login", json=given | {"password": "another password"}).status_code == 200
    assert PASSWORD not in gateway_process.log


def test_keys_and_logins_survive_a_kill(gateway_process: GatewayProcess, command: Command):
    key = command("keys", "create", "berlin", "--scope", "read").stdout.strip()
    command("users", "add", "mei", "--scope", "read", "--stdin", stdin=PASSWORD)
    with gateway_process.gateway.client() as http:
        login = http.post("/api/v1/auth/login", json={"name": "mei", "password": PASSWORD}).json()["data"]
    gateway_process.kill()
    gateway_process.start()
    assert _status(gateway_process, key) == 404
    assert _status(gateway_process, login["access_token"]) == 404
    with gateway_process.gateway.client() as http:
        answer = http.post("/api/v1/auth/refresh", json={"refresh_token": login["refresh_token"]})
        assert answer.status_code == 200
    assert gateway_process.stop() in (0, -signal.SIGTERM)  # uvicorn passes the signal on when all is done


def test_a_signed_call_does_not_count_again_after_a_kill(gateway_process: GatewayProcess, command: Command):
    key = command("keys", "create", "berlin", "--scope", "read").stdout.strip()
    request = httpx.Request("GET", f"{gateway_process.gateway.sync_url}/ping")
    request.headers["Authorization"] = signature(key, request)
    with gateway_process.gateway.client() as http:
        assert http.send(request).status_code == 200
        gateway_process.kill()
        gateway_process.start()
        assert http.send(request).json()["code"] == "replayed"


def test_signed_only_takes_no_key_and_the_commands_tell_who_speaks_for_whom(
    gateway_process: GatewayProcess, command: Command
):
    key = command("keys", "create", "berlin", "--scope", "write").stdout.strip()
    gateway_process.stop()
    gateway_process.arguments = ("--signed-only",)
    gateway_process.start()
    assert _status(gateway_process, key) == 401
    with gateway_process.gateway.signer(key=key, X_Sync_Origin="b-17") as http:
        body = {"repository_id": 1, "name": "r"}
        assert http.post("/api/sync/repository-upsert", json=body).status_code == 200
    assert "b-17" in command("keys", "list").stdout
    released = command("keys", "release", "berlin")
    assert (released.returncode, released.stdout) == (0, "released: berlin (b-17)\n")
    assert "b-17" not in command("keys", "list").stdout
    again = command("keys", "release", "berlin")
    assert again.returncode == 2 and "speaks for no installation" in again.stderr
    assert key not in gateway_process.log and "Sync key" not in gateway_process.log


def test_the_access_log_tells_nothing_that_was_typed(gateway_process: GatewayProcess, command: Command):
    key = command("keys", "create", "berlin", "--scope", "read").stdout.strip()
    with gateway_process.gateway.client(key=key) as http:
        http.get("/hidden-path?token=hidden-query", headers={"X-Request-Id": "abcdef0123", "X-Other": "hidden-header"})
        http.post("/api/v1/auth/login", json={"name": "hidden-name", "password": "hidden-password"})
    gateway_process.stop()
    lines = [json.loads(line)["log"] for line in gateway_process.log.splitlines() if '"log"' in line]
    asked = next(line for line in lines if line["request_id"] == "abcdef0123")
    assert asked["caller"] == "key:berlin" and asked["status"] == 404 and asked["client"] == "127.0.0.1"
    assert "hidden" not in gateway_process.log and key not in gateway_process.log


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "plain HTTP"),
        (("--cert", "nothing.pem"), "needs its key"),
        (("--cert", "nothing.pem", "--cert-key", "nothing.key"), "certificate cannot be used"),
        (("--proxy", "0.0.0.0/0"), "is everybody"),
        (("--proxy", "proxy.example"), "is no address"),
    ],
)
def test_what_is_not_safe_is_refused(command: Command, words: tuple[str, ...], said: str):
    done = command("serve", "--port", "0", *words)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_told(command: Command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2 and "cannot listen" in done.stderr


def test_it_does_not_load_dagster(gateway_process: GatewayProcess):
    code = "import sync_assets.gateway.serve, sys; print([m for m in sys.modules if m.split('.')[0] == 'dagster'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_control_database_it_lives_and_is_not_ready(gateway_process: GatewayProcess, command: Command):
    key = command("keys", "create", "berlin", "--scope", "read").stdout.strip()
    database = gateway_process.gateway.address.database
    gateway_process.gateway.store.close()
    from sync_assets_tests.fix_gateway import closed_database

    with closed_database(gateway_process.gateway.address):
        url = gateway_process.gateway.url
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        ready = httpx.get(f"{url}/ready", trust_env=False)
        assert ready.status_code == 503 and ready.headers["retry-after"] and database not in ready.text
        assert _status(gateway_process, key) == 503
    assert _status(gateway_process, key) == 404
