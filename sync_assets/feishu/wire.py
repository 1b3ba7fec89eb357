"""One HTTP exchange with Feishu: bytes out, the envelope in, every failure sorted into engine errors.

Knows httpx, and that only here and in nothing above. Knows nothing of retries, pacing, tokens or tables.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from sync_assets.engine.errors import BadBatch, Retry, Stop, SyncError, Unclear
from sync_assets.feishu.codes import classify, classify_status

CONNECT_SECONDS = 10.0
_HOOK_PATH = "/open-apis/bot/"
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NEVER_VALID = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)


@dataclass(slots=True)
class Stats:
    """What a client has cost so far. Bytes are bodies as they went over the wire, without headers."""

    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    waited: float = 0.0  # seconds, for pacing and between tries
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `place` opens the message of any error. What may be secret is kept out of the repr."""

    method: str
    path: str = field(repr=False)  # of a bot it is a secret
    place: str
    write: bool = False
    params: Mapping[str, Any] | None = None
    body: bytes | None = field(default=None, repr=False)  # rows, or the app's secret


def encode(payload: Any) -> bytes:
    """The JSON body as it goes over the wire. Raises `BadBatch` for what JSON or UTF-8 cannot hold."""
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (UnicodeEncodeError, ValueError):
        raise BadBatch(
            "a value is no valid text or number (a lone surrogate, NaN or infinity)",
            hint="correct the row at its source",
            code="encoding",
        ) from None


def checked_host(host: str) -> str:
    """The origin of `host`. Raises `Stop` unless it is https, or http on this very machine."""
    parts = urlsplit(host.strip())
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise Stop(
            "the host of the Feishu connection is not an address",
            hint="write https://open.feishu.cn or https://open.larksuite.com",
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise Stop(
            "the host of the Feishu connection must begin with https://",
            hint="http is for the emulator on this machine only",
        )
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(name: str) -> bool:
    """Whether this host name can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Wire:
    """A pool of connections to one origin. Safe for threads."""

    def __init__(self, host: str, timeout: float, transport: httpx.BaseTransport | None = None) -> None:
        self.host = checked_host(host)
        silence()
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=self.host,
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
            transport=transport,
            headers={"User-Agent": "sync-assets"},
            trust_env=not is_loopback(urlsplit(self.host).hostname or ""),  # no proxy to oneself
        )

    def close(self) -> None:
        self._http.close()

    def exchange(self, ask: Ask, bearer: str, stats: Stats) -> dict[str, Any]:
        """Send once and return the envelope, whose code is 0. Raises any class of engine errors."""
        answer = self._send(ask, bearer, stats)
        envelope = _envelope(answer)
        if envelope is not None and envelope["code"] == 0:
            return envelope
        error = _refusal(answer, envelope, ask)
        if isinstance(error, Retry):
            error.after = max(error.after, _patience(answer))
        raise error

    def _send(self, ask: Ask, bearer: str, stats: Stats) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if ask.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        self._count(stats, 1, len(ask.body or b""), 0)
        try:
            answer = self._http.request(ask.method, ask.path, params=ask.params, content=ask.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _broken(error, ask) from None  # its text and request may hold addresses that are secrets
        self._count(stats, 0, 0, answer.num_bytes_downloaded or len(answer.content))
        return answer

    def _count(self, stats: Stats, requests: int, sent: int, received: int) -> None:
        with self._lock:
            stats.requests += requests
            stats.bytes_sent += sent
            stats.bytes_received += received


def _envelope(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = json.loads(answer.content)
    except ValueError:
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return body if isinstance(code, int) and not isinstance(code, bool) else None


def _refusal(answer: httpx.Response, envelope: dict[str, Any] | None, ask: Ask) -> SyncError:
    if envelope is None:
        return classify_status(answer.status_code, write=ask.write, log_id=_log_id(answer, {}), place=ask.place)
    more = envelope.get("error")
    detail = more if isinstance(more, dict) else {}
    return classify(
        envelope["code"],
        answer.status_code,
        _said(envelope, detail),
        write=ask.write,
        log_id=_log_id(answer, detail),
        place=ask.place,
    )


def _said(envelope: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """All texts of a refusal, a line each: msg, error.message and the fields that error.field_violations names."""
    found = detail.get("field_violations")
    violations = found if isinstance(found, list) else []
    named = [v.get("field") for v in violations if isinstance(v, dict)]
    return "\n".join(str(text) for text in (envelope.get("msg"), detail.get("message"), *named) if text)


def _log_id(answer: httpx.Response, detail: Mapping[str, Any]) -> str:
    found = answer.headers.get("X-Tt-Logid") or answer.headers.get("X-Request-Id") or detail.get("log_id")
    return found if isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", found) else ""


def _patience(answer: httpx.Response) -> float:
    """Seconds that the server asks to wait: Feishu's own header, or the standard one in its numeric form."""
    for name in ("x-ogw-ratelimit-reset", "Retry-After"):
        text = answer.headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,6}(\.\d+)?", text):
            return float(text)
    return 0.0


def _broken(error: Exception, ask: Ask) -> SyncError:
    """No answer came. A failure to connect means that nothing was sent; any other leaves a write unclear."""
    if isinstance(error, _NEVER_VALID):
        return Stop(f"{ask.place}: the request is not valid HTTP", hint="check the link and the host", code="invalid")
    if isinstance(error, httpx.ConnectError) and _is_tls(error):
        hint = "check the clock and the CA certificates of this machine, and whether a proxy opens TLS (SSL_CERT_FILE)"
        return Stop(f"{ask.place}: the TLS certificate is not trusted", hint=hint, code="tls")
    kind = type(error).__name__
    if isinstance(error, _NEVER_SENT):
        hint = "check network, DNS, firewall and HTTPS_PROXY"
        return Retry(f"{ask.place}: no connection ({kind})", hint=hint, code="connect")
    if ask.write:
        return Unclear(f"{ask.place}: the answer is missing ({kind})", code="no-answer")
    return Retry(f"{ask.place}: the answer is missing ({kind})", code="no-answer")


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _no_hook_addresses(record: logging.LogRecord) -> bool:
    return _HOOK_PATH not in record.getMessage()


def silence() -> None:
    """Keep httpx from logging each request; and a bot's address, which is a secret, at any level."""
    logger = logging.getLogger("httpx")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    if _no_hook_addresses not in logger.filters:
        logger.addFilter(_no_hook_addresses)
