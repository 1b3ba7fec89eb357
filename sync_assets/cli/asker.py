"""Who runs a command, for the history."""

from __future__ import annotations

import os


def asked_by() -> str:
    """The user's name, as far as there is one; behind sudo that of whoever called it."""
    import getpass

    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in many containers
        user = f"uid {os.getuid()}"
    return f"{user} (command line)"
