"""The ground of the gateway: it runs, says whether it can work, and lets nobody in without credentials."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway, Gateways


def test_it_lives_and_can_work(gateway: Gateway):
    with gateway.client() as http:
        assert http.get("/health").json() == {"status": "ok"}
        assert http.get("/ready").json() == {"status": "ok"}


def test_what_is_not_there_is_told_only_to_those_who_may_ask(gateway: Gateway):
    with gateway.client() as stranger, gateway.client("read:*") as reader:
        assert stranger.get("/nothing").status_code == 401
        assert reader.get("/nothing").status_code == 404
        assert reader.get("/nothing").json() == {"error": "Not Found"}


def _certificate(folder: Path) -> tuple[Path, Path]:
    """One for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, private


def test_it_speaks_https_with_a_certificate(gateways: Gateways, tmp_path: Path):
    chain, private = _certificate(tmp_path)
    gateway = gateways(certificate=chain, certificate_key=private)
    assert gateway.url.startswith("https://")
    trusted = ssl.create_default_context(cafile=str(chain))
    with httpx.Client(verify=trusted, trust_env=False) as http:
        answer = http.get(f"{gateway.url}/health")
        assert answer.status_code == 200
        assert "max-age" in answer.headers["strict-transport-security"]
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as http:
        http.get(f"{gateway.url}/health")


def test_figures_count_syncs_by_how_they_ended(gateway: Gateway):
    gateway.store.sessions.run(
        lambda cursor: cursor.execute(
            "insert into sync_assets.exchange_sync (sync_id, direction, peer, repository_id, status, finished_at)"
            " values ('a', 'push', 'berlin', 1, 'completed', now()), ('b', 'push', 'berlin', 1, 'failed', now()),"
            " ('c', 'pull', 'berlin', 1, 'in_progress', null), ('d', 'push', 'paris', 2, 'failed', now())"
        )
    )
    with gateway.client() as http:
        lines = http.get("/metrics").text.splitlines()
    assert 'sync_assets_exchange_syncs{direction="push",status="failed"} 2.0' in lines
    assert 'sync_assets_exchange_syncs{direction="pull",status="in_progress"} 1.0' in lines
    assert not [line for line in lines if "berlin" in line]
