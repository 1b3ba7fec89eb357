"""The commands of `sync-assets`, run as a user would, and said with what they print."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sync_assets.demo import deployment
from sync_assets.demo.deployment import Deployment
from sync_assets.engine.errors import Stop


def show(
    files: Deployment,
    say: Callable[[str], None],
    *words: str,
    expected: int = 0,
    since: Sequence[str] = ("",),
    most: int = 100,
) -> None:
    """Say a command and what it prints: `most` lines, from the first on that holds one of `since`. Raises `Stop` when
    it ends with another exit code than `expected`."""
    said = f"$ sync-assets {' '.join(words)}"
    program = Path(sys.executable).parent / "sync-assets"
    done = subprocess.run(
        [str(program), *words], env=deployment.process_environment(files), cwd=files.home,
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip
    if done.returncode != expected:
        raise Stop(f"{said} ended with {done.returncode} instead of {expected}: {done.stdout}{done.stderr}")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    start = next((at for at, line in enumerate(lines) if any(word in line for word in since)), 0)
    say("\n            ".join([said, *lines[start : start + most]]))
