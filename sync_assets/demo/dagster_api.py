"""Dagster from outside: start its web server and daemon, launch runs and backfills over GraphQL, wait for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sync_assets.engine.errors import Retry, Stop

LOCATION, REPOSITORY = "sync_assets", "__repository__"
RUN_DONE = ("SUCCESS", "FAILURE", "CANCELED")
BACKFILL_DONE = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

_LAUNCH_RUN = """
mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_LAUNCH_BACKFILL = """
mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_BACKFILL = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
_READY = """
query { repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } ... on PythonError { message } }
        instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } } }"""
_STATUS = """
query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionKeys
  assetPartitionStatuses { __typename ... on TimePartitionStatuses { ranges { status startKey endKey } }
    ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } } } } }"""
_KEYS = "query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionKeys } } }"
_WRITTEN = """
query ($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset { assetMaterializations(limit: 100) {
  runId metadataEntries { label ... on IntMetadataEntry { intValue } } } } } }"""


class Dagster:
    """A running Dagster, spoken to as any client would."""

    def __init__(self, url: str) -> None:
        import httpx

        self.url = url
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL request. Raises `Retry` when the server does not answer yet, `Stop` when it refuses."""
        import httpx

        try:
            answer = self._http.post("/graphql", json={"query": text, "variables": variables})
            content = answer.json()
        except (httpx.TransportError, ValueError):
            raise Retry("Dagster does not answer yet") from None
        if content.get("errors"):
            raise Stop(f"Dagster refused a request: {content['errors'][0].get('message', '')}")
        return dict(content["data"])

    def ready(self) -> bool:
        """True when the code is loaded and every daemon has reported."""
        try:
            data = self.query(_READY)
        except Retry:
            return False
        found = data["repositoriesOrError"]
        if found["__typename"] == "PythonError":
            raise Stop(f"the definitions do not load: {found['message']}")
        daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        return bool(found.get("nodes")) and all(d["healthy"] for d in daemons if d["required"])

    def materialize(self, asset: Sequence[str], first: str = "", last: str = "") -> str:
        """Launch a run of one asset, or of its partitions from `first` to `last`; its id."""
        return self.materialize_all([asset], first, last)

    def materialize_all(self, assets: Sequence[Sequence[str]], first: str = "", last: str = "") -> str:
        """Launch one run of several assets; those with partitions from `first` to `last`, the others whole; its id."""
        selector = {
            "repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": list(asset)} for asset in assets],
        }  # fmt: skip
        ends = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last or first}
        tags = [{"key": name, "value": value} for name, value in ends.items() if first]
        params = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": {"tags": tags}}
        return str(self._launched(_LAUNCH_RUN, "launchRun", params)["run"]["runId"])

    def written(self, asset: Sequence[str], run_id: str) -> Counter[str]:
        """The numbers that a run has written to an asset as metadata, summed over its partitions."""
        found = self.query(_WRITTEN, key={"path": list(asset)})["assetOrError"].get("assetMaterializations", [])
        numbers: Counter[str] = Counter()
        for event in found:
            if event["runId"] == run_id:
                numbers.update({e["label"]: e["intValue"] for e in event["metadataEntries"] if e.get("intValue")})
        return numbers

    def backfill(self, asset: Sequence[str], keys: Sequence[str]) -> str:
        """Launch a backfill of these partitions of one asset; its id."""
        params = {"assetSelection": [{"path": list(asset)}], "partitionNames": list(keys)}
        return str(self._launched(_LAUNCH_BACKFILL, "launchPartitionBackfill", params)["backfillId"])

    def _launched(self, text: str, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.query(text, params=params)[name]
        if not answer["__typename"].endswith("Success"):
            raise Stop(f"Dagster did not launch: {answer.get('message') or answer['__typename']}")
        return answer

    def wait_run(self, run_id: str, seconds: float = 120) -> str:
        """The final status of a run."""
        return self._wait(lambda: self.query(_RUN, id=run_id)["runOrError"]["status"], RUN_DONE, seconds)

    def wait_backfill(self, backfill_id: str, seconds: float = 180) -> str:
        """The final status of a backfill."""
        return self._wait(
            lambda: self.query(_BACKFILL, id=backfill_id)["partitionBackfillOrError"]["status"], BACKFILL_DONE, seconds
        )

    def _wait(self, status: Any, done: Sequence[str], seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = str(status())
            if now in done:
                return now
            time.sleep(0.5)
        raise Retry(f"Dagster had not finished after {seconds:.0f} s", hint="look at the run in the UI")

    def partition_keys(self, asset: Sequence[str]) -> list[str]:
        """All partitions of an asset, in Dagster's order."""
        return list(self.query(_KEYS, key={"path": list(asset)})["assetNodeOrError"]["partitionKeys"])

    def partitions(self, asset: Sequence[str]) -> dict[str, list[str]]:
        """Partition keys of an asset by status: MATERIALIZED, FAILED, MISSING."""
        node = self.query(_STATUS, key={"path": list(asset)})["assetNodeOrError"]
        keys: list[str] = node["partitionKeys"]
        found: dict[str, list[str]] = {"MATERIALIZED": [], "FAILED": [], "MISSING": []}
        by_key = dict.fromkeys(keys, "MISSING")
        for piece in node["assetPartitionStatuses"].get("ranges", []):
            for key in keys[keys.index(piece["startKey"]) : keys.index(piece["endKey"]) + 1]:
                by_key[key] = piece["status"]
        by_key |= dict.fromkeys(node["assetPartitionStatuses"].get("materializedPartitions", []), "MATERIALIZED")
        by_key |= dict.fromkeys(node["assetPartitionStatuses"].get("failedPartitions", []), "FAILED")
        for key, status in by_key.items():
            found.setdefault(status, []).append(key)
        return found


@contextmanager
def dagster_dev(root: Path, home: Path, port: int, environment: Mapping[str, str]) -> Iterator[Dagster]:
    """Web server, daemon and code server in a process group of their own, ended together.

    They work in `home`, not in the project's folder: Dagster lets a .env file of its folder win over the environment.
    """
    log = home / "dagster.log"
    command = [
        str(Path(sys.executable).parent / "dagster"), "dev", "--workspace", str(root / "workspace.yaml"),
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=home, env={**environment, "PYTHONWARNINGS": "ignore"}, stdout=out, stderr=out,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    dagster = Dagster(f"http://127.0.0.1:{port}")
    try:
        _await_ready(dagster, process, log)
        yield dagster
    finally:
        dagster.close()
        _end(process)


def _await_ready(dagster: Dagster, process: subprocess.Popen[bytes], log: Path, seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Stop("Dagster ended at once", hint=f"see {log}")
        if dagster.ready():
            return
        time.sleep(0.5)
    raise Stop(f"Dagster was not ready after {seconds:.0f} s", hint=f"see {log}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGINT is what `dagster dev` understands; what is left after 20 s is killed with its group."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
