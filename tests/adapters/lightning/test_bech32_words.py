"""Bech32 text and its five-bit words."""

from __future__ import annotations

import bech32
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.lightning.bech32 import (
    CHARSET,
    Bech32Invalid,
    decode_bech32,
    encode_bech32,
    number_of,
    octets_of,
    words_of,
)

prefixes = st.from_regex(r"[a-z]{1,8}[0-9]{0,6}", fullmatch=True)
word_runs = st.lists(st.integers(0, 31), max_size=400).map(bytes)


@pytest.mark.parametrize(
    "text",
    [
        "A12UEL5L",
        "a12uel5l",
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "11" + "q" * 82 + "c8247j",
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
        "?1ezyfcl",
    ],
)
def test_bip173_examples(text: str) -> None:
    """BIP 173's valid strings decode, and encode to themselves in lower case."""
    assert encode_bech32(*decode_bech32(text)) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "\x7f1axkwrx",
        "\x801eym55h",
        "pzry9x0s0muk",
        "1pzry9x0s0muk",
        "x1b4n0q5v",
        "li1dgmt3",
        "de1lg7wt\xff",
        "A1G7SGD8",
        "10a06t8",
        "1qzzfhee",
        "a1" + "q" * 7090,
        "",
    ],
)
def test_what_bip173_refuses(text: str) -> None:
    """BIP 173's invalid strings, an overlong one and an empty one are refused."""
    with pytest.raises(Bech32Invalid):
        decode_bech32(text)


@given(prefixes, word_runs)
def test_same_as_the_reference(prefix: str, words: bytes) -> None:
    """Whatever we write, the reference implementation writes too, and we read it back."""
    text = encode_bech32(prefix, words)
    assert text == bech32.bech32_encode(prefix, list(words))
    assert decode_bech32(text) == (prefix, words)


@given(prefixes, word_runs.filter(bool), st.data())
def test_one_changed_character_is_noticed(prefix: str, words: bytes, data: st.DataObject) -> None:
    """The checksum catches every single wrong character of the data."""
    text = encode_bech32(prefix, words)
    at = data.draw(st.integers(len(prefix) + 1, len(text) - 1))
    other = data.draw(st.sampled_from([chr(c) for c in CHARSET if chr(c) != text[at]]))
    with pytest.raises(Bech32Invalid):
        decode_bech32(text[:at] + other + text[at + 1 :])


@given(word_runs)
def test_words_and_numbers_are_each_others_inverse(words: bytes) -> None:
    """Turning a run of words into one number and back loses nothing, leading zeros included."""
    assert words_of(number_of(words), len(words)) == words


@given(st.binary(max_size=100))
def test_octets_survive_in_words(octets: bytes) -> None:
    """Octets padded to words come back, without the padding."""
    count = -(-8 * len(octets) // 5)
    words = words_of(int.from_bytes(octets, "big") << 5 * count - 8 * len(octets), count)
    assert octets_of(words) == octets
