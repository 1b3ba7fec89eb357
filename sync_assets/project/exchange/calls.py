"""One call to another installation over HTTP: bytes out, the envelope in, every failure sorted by what is to be done.

Tried again with the same idempotency key while trouble passes: no connection, no answer, 429, 5xx. Nothing is followed,
nothing is taken from the environment, what is read is limited. A key of our kind signs each attempt and is never sent,
whatever the peer answers; another is sent as it is. Must not know the protocol's entities.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import httpcore
import httpx

from sync_assets.engine.errors import RejectRow, Retry, Stop, SyncError, TooLarge, Unclear
from sync_assets.exchange import signing
from sync_assets.project.exchange.network import Network, Resolver, checked_url, guarded_backend

SECONDS = 15.0  # without a byte
WHOLE = 120.0  # for an answer from its first byte to its last
ANSWER_BYTES = 64_000_000  # inflated
ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT, LONGEST_PATIENCE = 0.5, 8.0, 60.0  # seconds; the last: what a peer may ask for
_GZIP_FROM = 1_000
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` as `encoded`; `packed`: it goes as gzip. `key` makes a repeat of it known to the receiver;
    `limit` is for the answer, in bytes."""

    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    key: str = ""
    sync_id: str = ""
    packed: bool = False
    limit: int = ANSWER_BYTES

    @property
    def write(self) -> bool:
        return bool(self.key)


@dataclass
class Line:
    """Connections to one peer. Safe for threads."""

    name: str
    url: str
    network: Network
    open_key: Callable[[], str] | None
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    origin: str = ""
    ca: str | None = None
    resolver: Resolver | None = None
    seconds: float = SECONDS
    jitter: Callable[[], float] = random.random
    now: Callable[[], float] = time.time  # seconds since 1970, for what is signed
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.url = checked_url(self.url, self.network, self._where)
        self._client = httpx.Client(
            transport=_transport(guarded_backend(self.network, self._where, self.resolver), _tls(self.ca, self._where)),
            timeout=self.seconds,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "sync-assets", "Accept-Encoding": "gzip", "Accept": "application/json"},
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)

    @property
    def _where(self) -> str:
        return f"peer {self.name}"

    def close(self) -> None:
        self._client.close()

    def data(self, call: Call) -> Any:
        """What the answer's envelope holds. Raises `Retry`, `Unclear`, `Stop`, `TooLarge` and `RejectRow`."""
        unclear = False
        for tried in range(1, ATTEMPTS + 1):
            try:
                return self._once(call)
            except Retry as error:
                unclear = unclear or isinstance(error, Unclear)
                wait = error.after + self.jitter() * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (tried - 1))
                if tried == ATTEMPTS or error.after > LONGEST_PATIENCE:
                    raise _given_up(error, tried, unclear) from None
                self.sleep(wait)
        raise AssertionError("unreachable")

    def _once(self, call: Call) -> Any:
        where = f"{self._where}, {call.path}"
        content = gzip.compress(call.body, 1, mtime=0) if call.body is not None and call.packed else call.body
        headers = self._headers(call) | self._credentials(call)
        try:
            with self._client.stream(
                call.method, f"{self.url}/{call.path}", content=content, headers=headers
            ) as answer:
                body = self._read(answer, call, where)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _broken(error, where, write=call.write) from None
        return _data(answer, body, call, where)

    def _read(self, answer: httpx.Response, call: Call, where: str) -> bytes:
        began, held = self.clock(), bytearray()
        for chunk in answer.iter_bytes(65_536):
            held += chunk
            if len(held) > call.limit:
                raise Stop(f"{where}: the answer is too large", hint="is this an installation of ours?", code="large")
            if self.clock() - began > WHOLE:
                raise _silent(f"{where}: the answer takes too long", write=call.write)
        return bytes(held)

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.packed:
            headers["Content-Encoding"] = "gzip"
        more = {"X-Sync-Origin": self.origin, "Idempotency-Key": call.key, "X-Sync-Id": call.sync_id}
        return headers | {name: value for name, value in more.items() if value}

    def _credentials(self, call: Call) -> dict[str, str]:
        """A signature of this attempt, with a key of our kind; another key itself."""
        key = self.open_key() if self.open_key else ""
        if not signing.can_sign(key):
            return {"Authorization": f"Bearer {key}"} if self.open_key else {}
        head = signing.Head(call.method, f"{signing.BASE}/{call.path}", self.origin, call.sync_id, call.key)
        digest = hashlib.sha256(call.body or b"").hexdigest()
        return {"Authorization": signing.sign(key, head, digest=digest, time=int(self.now()))}


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as it goes over the wire. Raises `RejectRow` for text that is none (half a surrogate pair)."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (UnicodeEncodeError, ValueError):
        hint = "correct it here first"
        raise RejectRow("a text or number cannot be sent as it is", hint=hint, code="encoding") from None


def _tls(ca: str | None, where: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise Stop(f"{where}: the file of its authority cannot be read", hint="correct ca", code="ca") from None


def _transport(backend: httpcore.NetworkBackend, tls: ssl.SSLContext) -> httpx.HTTPTransport:
    """httpx has no door for a backend of one's own: its pool is put in place of the one it made."""
    transport = httpx.HTTPTransport(verify=tls, trust_env=False)
    transport.close()
    transport._pool = httpcore.ConnectionPool(
        ssl_context=tls, max_connections=4, max_keepalive_connections=2, keepalive_expiry=5.0, network_backend=backend
    )
    return transport


# -- what an answer means


def _data(answer: httpx.Response, body: bytes, call: Call, where: str) -> Any:
    said = _json(body)
    if not answer.is_success:
        _refused(answer, said if isinstance(said, dict) else {}, call, where)
    if not isinstance(said, dict) or said.get("code") not in ("OK", None):
        raise _silent(f"{where}: the answer is not of this protocol", write=call.write)
    return said.get("data")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refused(answer: httpx.Response, said: Mapping[str, Any], call: Call, where: str) -> NoReturn:
    status = answer.status_code
    what = f"{where}: HTTP {status}"
    if status in (401, 403):
        raise _denied(status, said, call, what)
    if answer.is_redirect or status < 400:
        hint = "write the address that it leads to"
        raise Stop(f"{what}, the peer leads elsewhere, which is not followed", hint=hint, code="redirect")
    if status == 413:
        raise TooLarge(f"{what}, the peer takes no more at once", hint="raise its limit of a request", code="http_413")
    if status in (408, 425, 429) or status >= 500:
        raise Retry(what, after=_patience(answer), hint="look at the peer's log", code=f"http_{status}")
    raise RejectRow(f"{what}, the peer refuses this", hint="look at the peer's log", code=_code(status, said))


def _denied(status: int, said: Mapping[str, Any], call: Call, what: str) -> SyncError:
    code, ahead = said.get("code"), said.get("seconds")
    if code == "clock" and isinstance(ahead, int):
        differs = f"our clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the peer's"
        hint = f"set the clocks of both by NTP; {signing.WINDOW} s are allowed"
        return Stop(f"{what}, {differs}", hint=hint, code="clock")
    if code == "replayed":  # a proxy between has sent it twice, and lost the answer to the first
        return _silent(f"{what}, the call arrived twice", write=call.write)
    hint = "check the key: is it whole, in time, and does its scope hold this repository and action? is it ours alone?"
    return Stop(f"{what}, our key does not count", hint=hint, code=f"http_{status}")


def _code(status: int, said: Mapping[str, Any]) -> str:
    """A word for a refusal. The original says in a sentence, in Chinese, that it does not know the repository."""
    word, text = said.get("code"), said.get("error")
    if isinstance(word, str) and re.fullmatch(r"[a-z_]{1,40}", word):
        return word
    unknown = isinstance(text, str) and re.search(r"仓库不存在|repository[^.]{0,40}not found|unknown repository", text)
    return "unknown_repository" if unknown else f"http_{status}"


def _patience(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "").strip()
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d+)?", text) else 0.0


def _broken(error: Exception, where: str, *, write: bool) -> SyncError:
    """No answer came. A failure to connect means that nothing was sent; any other leaves a write unclear."""
    kind = type(error).__name__
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL):
        return Stop(f"{where}: the request is not valid HTTP", hint="check the address and the key", code="invalid")
    if isinstance(error, httpx.DecodingError | httpx.TooManyRedirects):
        return Stop(f"{where}: the answer cannot be read", hint="is this an installation of ours?", code="answer")
    if isinstance(error, httpx.ConnectError) and _is_tls(error):
        hint = "check the clock and the certificates of this machine, and `ca` of the peer"
        return Stop(f"{where}: the TLS certificate is not trusted", hint=hint, code="tls")
    if isinstance(error, _NEVER_SENT):
        return Retry(f"{where}: no connection ({kind})", hint="check network, DNS and firewall", code="connect")
    return _silent(f"{where}: the answer is missing ({kind})", write=write)


def _silent(text: str, *, write: bool) -> Retry:
    return (Unclear if write else Retry)(text, hint="is the peer well?", code="no_answer")


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _given_up(error: Retry, tried: int, unclear: bool) -> Retry:
    kind = Unclear if unclear else Retry
    text = f"{error.message} (given up after {tried} tries)"
    return kind(text, after=error.after, hint=error.hint, code=error.code)
