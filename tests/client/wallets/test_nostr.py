"""Keys, events and ciphers of Nostr, against the published vectors of BIP-340 and NIP-44."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobot_pay.nostr.ciphers import (
    NIP04,
    NIP44,
    CannotDecrypt,
    Encryption,
    conversation_key,
    decrypt_nip44,
    encrypt_nip44,
    message_keys,
    padded_length,
)
from cobot_pay.nostr.events import EventRefused, Unsigned, read_event, sign_event
from cobot_pay.nostr.keys import NostrKey, is_signed
from tests.client.wallets.nostr_vectors import (
    BIP340,
    CONVERSATIONS,
    MESSAGE_KEYS,
    MESSAGE_KEYS_CONVERSATION,
    MESSAGES,
    NO_CONVERSATIONS,
    PADDED,
)

ALICE, BOB = NostrKey(b"\x0a" * 32), NostrKey(b"\x0b" * 32)
SAID = Unsigned(kind=1, content='ünï "code"\n\t\\', created_at=1_700_000_000, tags=(("p", "x"),))


@pytest.mark.parametrize("vector", BIP340)
def test_signatures_are_those_of_bip_340(vector: tuple[str, str, str, str, bool]) -> None:
    """Each published signature is judged as published, and a key of ours makes ones that hold."""
    secret, public, message, signature, valid = vector
    assert is_signed(bytes.fromhex(message), public=public, signature=signature) is valid
    if secret:
        key = NostrKey(bytes.fromhex(secret))
        assert key.public == public.lower()
        own = key.sign(bytes.fromhex(message)).hex()
        assert is_signed(bytes.fromhex(message), public=public, signature=own)


@pytest.mark.parametrize(("secret", "public", "key"), CONVERSATIONS)
def test_conversation_keys_are_those_of_nip_44(secret: str, public: str, key: str) -> None:
    """From a secret and a public key."""
    assert conversation_key(NostrKey(bytes.fromhex(secret)), public).hex() == key


@pytest.mark.parametrize(("secret", "public"), NO_CONVERSATIONS)
def test_keys_that_are_none_have_no_conversation(secret: str, public: str) -> None:
    """Out of range, or not on the curve."""
    with pytest.raises(ValueError, match=r".+"):
        conversation_key(NostrKey(bytes.fromhex(secret)), public)


@pytest.mark.parametrize("nonce", MESSAGE_KEYS)
def test_message_keys_are_those_of_nip_44(nonce: str) -> None:
    """Three keys from the conversation's and the nonce."""
    found = message_keys(bytes.fromhex(MESSAGE_KEYS_CONVERSATION), bytes.fromhex(nonce))
    assert tuple(one.hex() for one in found) == MESSAGE_KEYS[nonce]


@pytest.mark.parametrize(("length", "padded"), PADDED)
def test_texts_are_padded_as_nip_44_says(length: int, padded: int) -> None:
    """To a length that tells little."""
    assert padded_length(length) == padded


@pytest.mark.parametrize(("conversation", "nonce", "text", "payload"), MESSAGES)
def test_messages_are_those_of_nip_44(
    conversation: str, nonce: str, text: str, payload: str
) -> None:
    """Encrypted to the very octets, and back."""
    key = bytes.fromhex(conversation)
    assert encrypt_nip44(text, key, bytes.fromhex(nonce)) == payload
    assert decrypt_nip44(payload, key) == text


@pytest.mark.parametrize("length", [0, 65_536, 100_000])
def test_texts_of_a_length_that_nip_44_does_not_take_are_refused(length: int) -> None:
    """None at all, or more than its two octets of length can say."""
    with pytest.raises(ValueError, match="65,535"):
        encrypt_nip44("a" * length, bytes(32), bytes(32))


@given(st.integers(0, 98), st.integers(1, 255))
@settings(max_examples=60)
def test_a_changed_message_is_found_out(place: int, change: int) -> None:
    """Whichever octet of it is changed: version, nonce, text or authentication."""
    conversation, _nonce, _text, payload = MESSAGES[0]
    octets = bytearray(base64.b64decode(payload))
    octets[place] ^= change
    with pytest.raises(CannotDecrypt):
        decrypt_nip44(base64.b64encode(octets).decode(), bytes.fromhex(conversation))


@pytest.mark.parametrize("payload", ["", "#" + "A" * 200, "A" * 131, "A" * 87_473, "?" * 200])
def test_what_is_no_message_is_refused(payload: str) -> None:
    """Too short, too long, of another version, or no base64."""
    with pytest.raises(CannotDecrypt):
        decrypt_nip44(payload, bytes(32))


@given(st.sampled_from([NIP44, NIP04]), st.text(min_size=1, max_size=300))
@settings(max_examples=60)
def test_what_one_writes_the_other_reads(name: str, text: str) -> None:
    """With either cipher, and a third key reads nothing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    mine = Encryption(name, mine=ALICE, theirs=BOB.public)
    theirs = Encryption(name, mine=BOB, theirs=ALICE.public)
    assert theirs.decrypt(mine.encrypt(text)) == text
    if name == NIP44:
        with pytest.raises(CannotDecrypt):
            Encryption(name, mine=NostrKey.new(), theirs=BOB.public).decrypt(mine.encrypt(text))


@pytest.mark.parametrize("payload", ["", "?iv=", "AAAA?iv=AAAA", "=?iv=" + "A" * 22 + "=="])
def test_what_is_not_of_nip_04_is_refused(payload: str) -> None:
    """In whichever of its two parts."""
    with pytest.raises(CannotDecrypt):
        Encryption(NIP04, mine=ALICE, theirs=BOB.public).decrypt(payload)


def test_an_event_is_read_as_it_was_signed() -> None:
    """Through JSON and back."""
    event = sign_event(ALICE, SAID)
    assert read_event(json.loads(json.dumps(event.document()))) == event
    assert (event.tag("p"), event.tag("e")) == ("x", "")


@pytest.mark.parametrize(
    "change",
    [
        {"content": "other"},
        {"created_at": 1},
        {"kind": 2},
        {"tags": [["p", "y"]]},
        {"pubkey": BOB.public},
        {"sig": "00" * 64},
        {"sig": "no hex"},
        {"id": "00" * 32},
        {"tags": "p"},
        {"tags": [[1]]},
        {"kind": True},
        {"content": None},
        {"content": "\ud800"},
    ],
)
def test_an_event_that_was_changed_is_refused(change: dict[str, object]) -> None:
    """Whichever member, and whatever type it has then."""
    with pytest.raises(EventRefused):
        read_event(sign_event(ALICE, SAID).document() | change)


def test_what_is_no_event_is_refused() -> None:
    """No object at all, and one signed by another key."""
    with pytest.raises(EventRefused, match="no JSON object"):
        read_event([])
    event = replace(sign_event(ALICE, SAID), sig=sign_event(BOB, SAID).sig)
    with pytest.raises(EventRefused, match="not signed"):
        read_event(event.document())
