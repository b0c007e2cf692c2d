"""A token is proved as a whole, or it proves nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

import pymacaroons
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.http_api.l402.credentials import Credential, Credentials, parse_credentials
from cobot_meter.http_api.l402.macaroons import encode, parse, parse_identifier
from cobot_meter.http_api.l402.tokens import Proof, TokenKind, Tokens
from tests.http_api.samples import (
    CALLER,
    ESCROW,
    PAYMENT_HASH,
    PREIMAGE,
    REQUEST_SHA256,
    SECRET,
    TOPUP,
)

NOW_S = 1_763_837_000
UNTIL_S = NOW_S + 100
TOKENS = Tokens(secret=SECRET)
PROOF = Proof(
    caller_id=CALLER,
    escrow_id=ESCROW,
    topup_id=None,
    payment_hash=PAYMENT_HASH,
    request_sha256=REQUEST_SHA256,
)


def minted(
    *,
    tokens: Tokens = TOKENS,
    caller_id: str = CALLER,
    payment_hash: str = PAYMENT_HASH,
    subject_id: str = ESCROW,
    kind: TokenKind = TokenKind.ESCROW,
    valid_until_s: int = UNTIL_S,
) -> str:
    """A token with the samples where nothing else is said."""
    return tokens.mint(
        caller_id=caller_id,
        payment_hash=payment_hash,
        subject_id=subject_id,
        request_sha256=REQUEST_SHA256,
        valid_until_s=valid_until_s,
        kind=kind,
    )


def pair(token: str, preimage: bytes = PREIMAGE) -> Credentials:
    """The credential that a library would send."""
    return parse_credentials([f"L402 {token}:{preimage.hex()}".encode()])


def with_caveats(token: str, *caveats: str) -> str:
    """The token as its holder narrows it, with a foreign library."""
    macaroon = pymacaroons.Macaroon.deserialize(token)
    for caveat in caveats:
        macaroon.add_first_party_caveat(caveat)
    text = macaroon.serialize()
    return base64.b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()


def test_an_escrow_token_proves_caller_and_escrow() -> None:
    """The pair names its caller, opens its escrow and says until when."""
    assert TOKENS.prove(pair(minted()), now_s=NOW_S) == PROOF


def test_a_topup_token_proves_no_escrow() -> None:
    """A top-up's pair names its caller and opens no completion."""
    proof = TOKENS.prove(pair(minted(kind=TokenKind.TOPUP, subject_id=TOPUP)), now_s=NOW_S)
    assert proof is not None
    assert (proof.escrow_id, proof.topup_id, proof.caller_id) == (None, TOPUP, CALLER)


def test_the_token_is_what_libraries_expect() -> None:
    """Standard padded base64, 66-byte identifier with the payment hash, caveats in their order."""
    macaroon = parse(base64.b64decode(minted(), validate=True))
    assert parse_identifier(macaroon.identifier).payment_hash.hex() == PAYMENT_HASH
    assert macaroon.location == b"lsat"
    assert [caveat.decode() for caveat in macaroon.caveats] == [
        "services=chat:0",
        f"chat_valid_until={UNTIL_S}",
        f"caller={CALLER}",
        f"escrow={ESCROW}",
        f"request_sha256={REQUEST_SHA256}",
    ]


def test_minting_again_gives_the_same_token() -> None:
    """The same 402 can be repeated byte for byte, also after a restart."""
    assert minted() == minted(tokens=Tokens(secret=SECRET))


@pytest.mark.parametrize(
    "other",
    [
        minted(caller_id="c_other"),
        minted(subject_id="esc_other"),
        minted(tokens=Tokens(secret=b"another secret, long enough for us")),
    ],
)
def test_another_caller_escrow_or_secret_gives_another_id(other: str) -> None:
    """Token ids differ, so that one token never stands for another."""
    ids = {parse(base64.b64decode(token)).identifier[34:] for token in (minted(), other)}
    assert len(ids) == 2


def test_a_preimage_alone_proves_nothing() -> None:
    """Every node on the route knows it, so without a macaroon of ours it opens nothing."""
    forged = minted(tokens=Tokens(secret=b"a secret of somebody else, as long"))
    assert TOKENS.prove(pair(forged), now_s=NOW_S) is None
    assert TOKENS.prove(parse_credentials([PREIMAGE.hex().encode()]), now_s=NOW_S) is None


def test_the_right_preimage_with_anothers_macaroon_proves_nothing() -> None:
    """A preimage belongs to the payment hash inside its own macaroon."""
    others = minted(payment_hash="9" * 64)
    assert TOKENS.prove(pair(others), now_s=NOW_S) is None


def test_a_macaroon_with_a_wrong_preimage_proves_nothing() -> None:
    """The 402 hands the macaroon to anybody; only paying gives the other half."""
    assert TOKENS.prove(pair(minted(), b"\x08" * 32), now_s=NOW_S) is None


def test_an_expired_token_proves_nothing() -> None:
    """From its last second on it names nobody, so that it spends no credit either."""
    assert TOKENS.prove(pair(minted()), now_s=UNTIL_S - 1) == PROOF
    assert TOKENS.prove(pair(minted()), now_s=UNTIL_S) is None


def test_a_valid_pair_is_found_behind_an_expired_one() -> None:
    """Of several pairs the first that proves something counts, whatever stands before it."""
    old = pair(minted(valid_until_s=NOW_S - 1, caller_id="c_old"))
    both = Credentials(pairs=(*pair("AAAA").pairs, *old.pairs, *pair(minted()).pairs))
    assert TOKENS.prove(both, now_s=NOW_S) == PROOF
    assert TOKENS.prove(old, now_s=NOW_S) is None


@pytest.mark.parametrize(
    "caveat",
    [
        f"caller={CALLER}",
        f"escrow={ESCROW}",
        "services=chat:0",
        f"request_sha256={REQUEST_SHA256}",
        f"chat_valid_until={UNTIL_S}",
        f"preimage={PREIMAGE.hex()}",
        f"preimage={PREIMAGE.hex().upper()}",
    ],
)
def test_repeating_what_holds_changes_nothing(caveat: str) -> None:
    """A repeated caveat of equal value, and the payment's own preimage, are let pass."""
    assert TOKENS.prove(pair(with_caveats(minted(), caveat)), now_s=NOW_S) == PROOF


def test_a_holder_may_shorten_the_life_of_a_token() -> None:
    """An earlier `chat_valid_until` counts, a later one after it does not bring the token back."""
    shorter = with_caveats(minted(), f"chat_valid_until={NOW_S}")
    assert TOKENS.prove(pair(shorter), now_s=NOW_S - 1) == PROOF
    assert TOKENS.prove(pair(shorter), now_s=NOW_S) is None
    longer = with_caveats(shorter, f"chat_valid_until={UNTIL_S}")
    assert TOKENS.prove(pair(longer), now_s=NOW_S) is None


@pytest.mark.parametrize(
    "caveat",
    [
        "caller=c_other",
        "escrow=esc_other",
        f"topup={TOPUP}",
        "services=chat:1",
        "services=chat:0,admin:0",
        "request_sha256=" + "0" * 64,
        f"chat_valid_until={UNTIL_S + 1}",
        "chat_valid_until=",
        "chat_valid_until=-1",
        "chat_valid_until=9999999999999",
        "chat_valid_until=\u0661",
        f"preimage={'00' * 32}",
        "chat_capabilities=write",
        "anything",
        "caller",
        "",
    ],
)
def test_a_caveat_that_widens_or_is_unknown_closes_the_token(caveat: str) -> None:
    """Unknown names fail closed, and a known name may only repeat or narrow."""
    assert TOKENS.prove(pair(with_caveats(minted(), caveat)), now_s=NOW_S) is None


NAMES = (
    *("services", "chat_valid_until", "caller", "escrow", "topup", "request_sha256", "preimage"),
    *("valid_until", "Chat_Valid_Until", "chat_valid_until ", "time-before", "time", "expires"),
    *("chat_capabilities", "chat_path", "method", "path", "max_msat", "amount", "ip", "services2"),
)
VALUES = (
    *(CALLER, ESCROW, TOPUP, REQUEST_SHA256, PREIMAGE.hex(), PREIMAGE.hex().upper(), "chat:0"),
    *("chat:1", "admin:0", "chat:0,chat:1", "", "*", "0", "1", " 1", "1 ", "+1", "1.5", "1e3"),
    *(str(NOW_S), str(NOW_S + 1), f"0{NOW_S + 1}", str(UNTIL_S), str(UNTIL_S + 1)),
    *("2020-01-01T00:00:00Z", "never", "\u0661"),
)
HOLDS = {
    "services": {"chat:0"},
    "caller": {CALLER},
    "escrow": {ESCROW},
    "request_sha256": {REQUEST_SHA256},
    "preimage": {PREIMAGE.hex(), PREIMAGE.hex().upper()},
}


def expected(caveats: list[str]) -> Proof | None:
    """What a token narrowed like this may still prove, said without the code that reads it."""
    until_s = UNTIL_S
    for caveat in caveats:
        name, separator, value = caveat.partition("=")
        if name == "chat_valid_until" and separator and value.isascii() and value.isdecimal():
            if int(value) > until_s:
                return None
            until_s = int(value)
        elif value not in HOLDS.get(name, set()):
            return None
    return PROOF if until_s > NOW_S else None


@given(
    st.lists(
        st.one_of(
            st.builds("{}={}".format, st.sampled_from(NAMES), st.sampled_from(VALUES)),
            st.builds("{}{}".format, st.sampled_from(NAMES), st.sampled_from(("", "=", "<9"))),
            st.text(max_size=40).filter(lambda text: "\ud800" not in text),
        ),
        max_size=4,
    )
)
def test_every_caveat_is_applied_or_closes_the_token(caveats: list[str]) -> None:
    """Whatever a holder appends, the pair proves what it proved or nothing, and never more."""
    token = _appended(minted(), *(caveat.encode("utf-8", "replace") for caveat in caveats))
    assert TOKENS.prove(pair(token), now_s=NOW_S) == expected(caveats)


@given(st.binary(max_size=60))
def test_a_caveat_of_any_bytes_closes_the_token(caveat: bytes) -> None:
    """What cannot be read forbids everything."""
    proof = TOKENS.prove(pair(_appended(minted(), caveat)), now_s=NOW_S)
    assert proof == expected([caveat.decode("utf-8", "replace")])


def _appended(token: str, *caveats: bytes) -> str:
    """The token with more caveats, as any holder can add them."""
    held = parse(base64.b64decode(token))
    for caveat in caveats:
        signature = hmac.digest(held.signature, caveat, hashlib.sha256)
        held = replace(held, caveats=(*held.caveats, caveat), signature=signature)
    return base64.b64encode(encode(held)).decode()


@given(st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=40)), max_size=5))
def test_no_pair_raises(pairs: list[tuple[bytes, bytes]]) -> None:
    """Whatever bytes stand in a pair, the answer is a quiet None."""
    credentials = Credentials(
        pairs=tuple(Credential(macaroon=macaroon, preimage=pre) for macaroon, pre in pairs)
    )
    assert TOKENS.prove(credentials, now_s=NOW_S) is None


def test_a_short_secret_is_refused() -> None:
    """A secret that could be guessed mints nothing."""
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Tokens(secret=b"short")
