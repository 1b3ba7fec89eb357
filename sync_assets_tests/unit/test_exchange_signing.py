"""Signatures of calls: what is signed is said in one way only, and what is written is read strictly."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sync_assets.exchange import signing
from sync_assets.exchange.signing import Head, Proof

KEY = "sak_0123456789ab_" + "A" * 43
OTHER = "sak_0123456789ab_" + "A" * 42 + "B"
HEAD = Head("POST", "/api/sync/packs?x=1", "origin", "sync", "idempotent")
PROOF = Proof("0123456789ab", 1_790_000_000, "n" * 22, signing.NOTHING)


def signed(key: str = KEY, head: Head = HEAD) -> Proof:
    proof = signing.read(signing.sign(key, head, digest=signing.NOTHING, time=PROOF.time))
    assert proof is not None
    return proof


def test_what_is_signed_has_a_line_for_each_part() -> None:
    """Others sign by this text: it must not change without its version."""
    assert signing.text(PROOF, HEAD).decode().split("\n") == [
        "sync_assets signed call 1", "POST", "/api/sync/packs?x=1", "0123456789ab", "1790000000", "n" * 22,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "origin", "sync", "idempotent",
    ]  # fmt: skip
    assert signing.verifier(KEY).hex() == "b1f3cf1b00809029e5764c55b6aa7592eaa734251ad09348a37db68351953f88"


def test_a_part_with_lines_is_neither_signed_nor_proven() -> None:
    """`origin\\nsync` with nothing after it would read as `origin`, then `sync`."""
    for head in (
        replace(HEAD, origin="origin\nsync", sync_id=""),
        replace(HEAD, target="/x\n"),
        replace(HEAD, method="\n"),
    ):
        with pytest.raises(ValueError, match="line"):
            signing.sign(KEY, head, digest=signing.NOTHING, time=1)
        assert not signing.holds(signing.verifier(KEY), signed(), head)


def test_a_signature_holds_for_its_key_and_its_call_only() -> None:
    proof, public = signed(), signing.verifier(KEY)
    assert signing.holds(public, proof, HEAD)
    assert not signing.holds(signing.verifier(OTHER), proof, HEAD)
    assert not signing.holds(bytes(32), proof, HEAD) and not signing.holds(b"short", proof, HEAD)
    for change in ({"time": 1}, {"nonce": "m" * 22}, {"digest": "0" * 64}, {"key_id": "0" * 12}):
        assert not signing.holds(public, replace(proof, **change), HEAD), change
    for name in ("method", "target", "origin", "sync_id", "idempotency_key"):
        assert not signing.holds(public, proof, replace(HEAD, **{name: "x"})), name
        assert not signing.holds(public, proof, replace(HEAD, **{name: ""})), name


def test_no_nonce_comes_twice() -> None:
    assert len({signed().nonce for _ in range(1000)}) == 1000


def test_a_signature_is_written_in_one_way() -> None:
    proof = signed()
    last = proof.signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_bytes = alphabet[alphabet.index(last) ^ 1]
    assert not signing.holds(signing.verifier(KEY), replace(proof, signature=proof.signature[:-1] + same_bytes), HEAD)


WRONG = [
    ("Sync ", ""), ("Sync ", "Sync  "), ("Sync ", "Bearer "), (", nonce", ",nonce"),
    ('time="1', 'time="0'), ('time="1', 'time="-1'), ('time="1', 'time="１'),
    ('time="1790000000"', 'time="1790000000.5"'), ('time="1790000000"', 'time=""'),
    ('time="1790000000"', 'time="1790000000000"'), ('key="0', 'key="G'), ('key="0', 'key="'),
    ('digest="e', 'digest="E'), ('digest="e', 'digest="'), ('nonce="', 'nonce="AAAA'),
    ('signature="', 'signature="A'), ('signature="', 'signature="%'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), WRONG)
def test_what_is_written_otherwise_is_not_read(old: str, new: str) -> None:
    header = signing.sign(KEY, HEAD, digest=signing.NOTHING, time=PROOF.time)
    assert signing.read(header) is not None and header.count(old) == 1
    assert signing.read(header.replace(old, new)) is None
    for more in (header + " ", header + "\n", header + ", x=1", " " + header, header * 2, header[:-1]):
        assert signing.read(more) is None


def test_only_keys_of_our_kind_sign() -> None:
    assert signing.can_sign(KEY)
    for key in ("", "x", KEY + "A", KEY[:-1], KEY.upper(), "sak_canary", KEY + "\n", " " + KEY):
        assert not signing.can_sign(key)
        with pytest.raises(ValueError, match="key"):
            signing.sign(key, HEAD, digest=signing.NOTHING, time=1)


def test_the_header_does_not_hold_the_key() -> None:
    header = signing.sign(KEY, HEAD, digest=signing.NOTHING, time=PROOF.time)
    assert "A" * 20 not in header and re.fullmatch(r'Sync (\w+="[^"]+"(, |$)){5}', header)
    assert len(header) < 300
