"""Where requests to other installations may go: a listener on loopback counts, and nothing hostile reaches it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.project.exchange.network import PUBLIC, Network, internal
from sync_assets.project.exchange.peer import HttpPeer

# What an attacker writes in place of a host.
HOSTS = [
    "127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "127.255.255.254", "0.0.0.0", "0", "0x7f000001", "0x7f.0.0.1",
    "0x7f.1", "2130706433", "017700000001", "0177.0.0.1", "0177.1", "00127.0.0.1", "127.0.0.01", "127.0.0.1.",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2001:0:7f00:1::]", "[2001:0:0:0:0:0:80ff:fffe]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00::1]",
    "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]", "[fd00:ec2::254]", "[fd20:ce::254]", "[5f00::1]",
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.100.100.200", "169.254.169.254",
    "169.254.170.2", "169.254.0.1", "168.63.129.16", "192.0.0.192", "192.0.0.1", "192.0.2.1", "192.88.99.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::169.254.169.254]", "[2002:a9fe:a9fe::]",
    "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518",
    "localhost", "localhost.", "LOCALHOST", "\u2460\u2461\u2466.0.0.1", "127\u30020.0.1", "\uff11\uff12\uff17.0.0.1",
    "127.0.0.1%00.example.org", "example.org@127.0.0.1", "127.0.0.1#example.org", "127.0.0.1?.example.org",
    "127.0.0.1\\.example.org", "exa mple.org", "-", "a..b", "",
]  # fmt: skip
# What a name may resolve to, next to a good address.
ANSWERS = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "169.254.169.254", "100.100.100.200", "::1", "::ffff:127.0.0.1",
    "fe80::1", "fe80::1%lo", "64:ff9b::7f00:1", "2002:7f00:1::", "192.168.1.1", "224.0.0.251", "not an address",
]  # fmt: skip
GOOD = "93.184.215.14"


@dataclass
class Listener:
    """Counts whoever connects, on every address of loopback; answers a ping."""

    port: int = 0
    connections: int = 0
    hosts: list[str] = field(default_factory=list)

    def serve(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(2)
                try:
                    head = connection.recv(65_536).decode("latin-1")
                    self.hosts += [line[6:] for line in head.split("\r\n") if line.lower().startswith("host: ")]
                    body = b'{"code": "OK"}'
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                except OSError:
                    pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    servers = [socket.create_server(("127.0.0.1", 0))]
    made.port = servers[0].getsockname()[1]
    for family, host in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
        try:
            servers.append(socket.create_server((host, made.port), family=family))
        except OSError:  # a machine without it cannot be reached there
            continue
    threads = [threading.Thread(target=made.serve, args=(server,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    yield made
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(5)


Resolve = Callable[[str, int], list[str]]


def ping(url: str, network: Network, resolver: Resolve | None = None) -> None:
    """As the engine does it. A hostile world: sleeps are not slept."""
    peer = HttpPeer("p", url, lambda: "sak_canary", network, sleep=lambda s: None, resolver=resolver, seconds=0.5)
    try:
        peer.ping()
    finally:
        peer.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("network", [PUBLIC, internal(["10.20.0.0/16", "fd12:3456::/32"])], ids=["public", "internal"])
def test_nothing_hostile_reaches_the_listener(listener: Listener, network: Network, scheme: str) -> None:
    assert len(HOSTS) >= 60
    for host in HOSTS:
        with pytest.raises(SyncError) as refused:
            ping(f"{scheme}://{host}:{listener.port}/api/sync", network)
        unknown = host == "localhost." and refused.value.code == "connect"  # not every resolver knows it
        assert isinstance(refused.value, Stop) or unknown, (host, refused.value)
    assert listener.connections == 0


def test_even_a_block_of_everything_holds_no_metadata_service(listener: Listener) -> None:
    everything = internal(["0.0.0.0/0", "::/0"])
    for host in ("169.254.169.254", "[fe80::1]", "100.100.100.200", "[::ffff:169.254.169.254]", "[fd00:ec2::254]",
                 "168.63.129.16", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "0.0.0.0", "224.0.0.1"):  # fmt: skip
        with pytest.raises(Stop):
            ping(f"http://{host}:{listener.port}/api/sync", everything)
    assert listener.connections == 0


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("order", ["alone", "first", "last"])
def test_one_bad_answer_of_a_resolver_refuses_the_name(listener: Listener, answer: str, order: str) -> None:
    answers = {"alone": [answer], "first": [answer, GOOD], "last": [GOOD, answer]}[order]
    with pytest.raises(Stop):
        ping(f"https://peer.example.org:{listener.port}/api/sync", PUBLIC, lambda *_: answers)
    assert listener.connections == 0


def test_a_name_that_changes_its_address_gains_nothing(listener: Listener) -> None:
    """Good at the first look, loopback at the second: each connection looks once, and dials what it looked at."""
    looked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["10.9.9.9"]

    ping(f"http://peer.example.org:{listener.port}/api/sync", internal(["127.0.0.1/32"]), rebinding)
    assert (looked, listener.connections) == (["peer.example.org"], 1)
    with pytest.raises(Stop):
        ping(f"http://peer.example.org:{listener.port}/api/sync", internal(["127.0.0.1/32"]), rebinding)
    assert listener.connections == 1


def test_a_redirect_is_not_followed(listener: Listener) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def once() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            there = f"http://127.0.0.1:{listener.port}/api/sync/ping".encode()
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % there)

    thread = threading.Thread(target=once, daemon=True)
    thread.start()
    with server, pytest.raises(Stop, match="not followed"):
        ping(f"http://127.0.0.1:{server.getsockname()[1]}/api/sync", internal(["127.0.0.0/8"]))
    thread.join(5)
    assert listener.connections == 0


@pytest.mark.parametrize(
    ("host", "blocks", "answers"),
    [
        ("127.0.0.1", ["127.0.0.1/32"], None),
        ("127.0.0.1", ["127.0.0.0/8"], None),
        ("[::1]", ["::1/128"], None),
        ("[::ffff:127.0.0.1]", ["127.0.0.0/8"], None),
        ("peer.example.org", ["127.0.0.0/8"], ["127.0.0.1"]),
        ("peer.example.org", ["127.0.0.0/8"], ["127.0.0.3", "127.0.0.1"]),
        ("peer_1.example.org.", ["127.0.0.0/8", "10.0.0.0/8"], ["127.0.0.1"]),
    ],
)
def test_honest_ones_pass_with_their_own_name(
    listener: Listener, host: str, blocks: list[str], answers: list[str] | None
) -> None:
    resolver = (lambda *_: answers) if answers is not None else None
    ping(f"http://{host}:{listener.port}/api/sync", internal(blocks), resolver)
    assert listener.connections == 1
    assert listener.hosts == [f"{host}:{listener.port}"]


@pytest.mark.parametrize("text", [GOOD, "8.8.8.8", "2606:4700:4700::1111", "1.1.1.1", "223.5.5.5", "2400:3200::1"])
def test_public_addresses_pass_in_public(text: str) -> None:
    assert PUBLIC.check(text, "p") == ipaddress.ip_address(text)
    with pytest.raises(Stop):
        internal(["10.0.0.0/8"]).check(text, "p")


@pytest.mark.parametrize(
    "url", ["http://example.org/api/sync", "https://example.org/", "https://example.org/api/sync?x=1", "ftp://e/api/sync",
            "https://u:p@example.org/api/sync", "https://example.org:0/api/sync", "https://example.org:99999/api/sync",
            "file:///api/sync", "//example.org/api/sync", "https:///api/sync", "https://[::1/api/sync"]
)  # fmt: skip
def test_what_is_no_address_of_a_peer_is_refused_before_anything_is_dialled(url: str) -> None:
    with pytest.raises(Stop) as refused:
        HttpPeer("p", url, None, PUBLIC)
    assert "u:p" not in str(refused.value)


# -- TLS: the checked address is dialled, the name is what the certificate must be for


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for peer.example.org, its key behind it in the file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("peer.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "peer.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.mark.parametrize(("host", "trusted", "good"), [("peer.example.org", True, True),
                                                       ("other.example.org", True, False),
                                                       ("peer.example.org", False, False)])  # fmt: skip
def test_the_certificate_must_be_for_the_name(authority: Path, host: str, trusted: bool, good: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(65_536)
                    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"code": "OK"}')
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://{host}:{server.getsockname()[1]}/api/sync"
    peer = HttpPeer(
        "p", url, None, internal(["127.0.0.0/8"]), sleep=lambda s: None, ca=str(authority) if trusted else None,
        resolver=lambda *_: ["127.0.0.1"],
    )  # fmt: skip
    try:
        if good:
            peer.ping()
        else:
            with pytest.raises(Stop, match="certificate"):
                peer.ping()
        assert set(names) == {host}
    finally:
        peer.close()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def test_without_the_guard_these_addresses_do_reach_the_listener(listener: Listener) -> None:
    """That the listener counts: a plain client gets there by several of the names above."""
    reached = 0
    with httpx.Client(trust_env=False, timeout=1) as client:
        for host in ("127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "0.0.0.0"):
            try:
                client.get(f"http://{host}:{listener.port}/api/sync/ping")
                reached += 1
            except (httpx.HTTPError, httpx.InvalidURL):
                continue
    assert reached >= 3 and listener.connections == reached
