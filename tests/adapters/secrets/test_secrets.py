"""The key file, the names made from it, and bodies sealed at rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.secrets.day_keys import DayKeys
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.secrets.key_file import derived_keys, read_key_file
from cobot_meter.adapters.secrets.sealer import AesSealer
from cobot_meter.domain.errors import SealBroken, SettingInvalid
from tests.fakes.clock import FakeClock

DAY = "2026-11-28"


def test_the_secret_is_made_once_and_read_again(tmp_path: Path) -> None:
    """A restart derives the same keys; the file is readable by its owner only."""
    path = tmp_path / "secret.key"
    first = read_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key_file(path) == first
    assert len({first.preimage, first.token, first.wrapping}) == 3


def test_a_secret_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    """The message says the command that mends it."""
    path = tmp_path / "secret.key"
    read_key_file(path)
    path.chmod(0o644)
    with pytest.raises(SettingInvalid, match="chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 31])
def test_a_damaged_secret_is_never_replaced_silently(tmp_path: Path, text: str) -> None:
    """A new secret would lose every kept completion, so the start stops instead."""
    path = tmp_path / "secret.key"
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    with pytest.raises(SettingInvalid, match="64 hex digits"):
        read_key_file(path)


def test_preimages_can_be_derived_again_and_differ_by_attempt() -> None:
    """The same escrow and attempt always give the same 32 bytes, others never."""
    names = KeyedIdentifiers(preimage_key=derived_keys(b"s" * 32).preimage, clock=FakeClock())
    preimages = {names.preimage(subject, number) for subject in "ab" for number in range(3)}
    assert len(preimages) == 6
    assert names.preimage("a", 0) in preimages
    assert all(len(preimage) == 32 for preimage in preimages)


def test_names_sort_by_time_and_are_not_guessed() -> None:
    """Later names sort later, and those of one moment share nothing but the moment."""
    clock = FakeClock()
    names = KeyedIdentifiers(preimage_key=b"s" * 32, clock=clock)
    for make, random_characters in (
        (names.escrow_id, 52),
        (names.topup_id, 52),
        (names.caller_id, 32),
    ):
        first, second = make(), make()
        clock.advance(0.001)
        later = make()
        assert first[:-random_characters] == second[:-random_characters] < later
        assert first[-random_characters:] != second[-random_characters:]


def test_every_end_of_a_name_can_be_typed() -> None:
    """Letters and digits only: no end of a name begins with the dash of an option."""
    names = KeyedIdentifiers(preimage_key=b"s" * 32, clock=FakeClock())
    for make in (names.escrow_id, names.topup_id, names.caller_id):
        kind, _, rest = make().partition("_")
        assert f"{kind}{rest}".isalnum()


@pytest.fixture(scope="module")
def sealer(tmp_path_factory: pytest.TempPathFactory) -> AesSealer:
    """With a key of the day in a directory of its own."""
    days = DayKeys(folder=tmp_path_factory.mktemp("sealer") / "body-keys")
    return AesSealer(wrapping_key=b"w" * 32, days=days)


@given(body=st.binary(max_size=2_000))
async def test_a_sealed_body_opens_with_its_own_key_and_label_only(
    sealer: AesSealer, body: bytes
) -> None:
    """Another escrow's key, another label or one flipped bit opens nothing."""
    key, other = await sealer.new_key(day=DAY), await sealer.new_key(day=DAY)
    sealed = await sealer.seal(key, body, label="esc_1/completion")
    assert await sealer.open(key, sealed, label="esc_1/completion") == body
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong_key, wrong_text, wrong_label in (
        (other, sealed, "esc_1/completion"),
        (key, sealed, "esc_2/completion"),
        (key, flipped, "esc_1/completion"),
        (key, b"", "esc_1/completion"),
        (b"x" * 40, sealed, "esc_1/completion"),
    ):
        with pytest.raises(SealBroken):
            await sealer.open(wrong_key, wrong_text, label=wrong_label)
