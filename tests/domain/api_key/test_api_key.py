"""API keys: the machine, the entries that make a row anew, the bookings, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.api_key import events as on
from cobot_meter.domain.api_key.faults import Shortfall
from cobot_meter.domain.api_key.machine import API_KEY_TRANSITIONS
from cobot_meter.domain.api_key.record import (
    ApiKey,
    ApiKeyState,
    KeyLimits,
    KeyWish,
    is_secret,
    secret_digest,
)
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import IllegalTransition, LedgerUnbalanced
from cobot_meter.domain.escrow import events as of_sale
from cobot_meter.domain.escrow.bookings import bookings
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.refusals import credit_short, exposure_exceeded, key_limit_reached
from cobot_meter.domain.transitions.api_keys import (
    api_key_as_made,
    api_key_event_of,
    api_key_transition,
    make_api_key,
)
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.domain.transitions.row_digests import opened_digest
from tests.domain.samples import BODIES, CALLER, DAY, NOW_MS, TERMS, Shape, opened

TEXT = f"sk-cobot-{'a' * 43}"
LIMITS = KeyLimits(limit_msat=70_000, day_limit_msat=20_000, models="a/b c/d")
EVENTS: tuple[on.ApiKeyEvent, ...] = (
    on.ApiKeyChanged(name="agent", limits=LIMITS),
    on.ApiKeyRotated(secret_sha256="ab" * 32, hint="sk-cobot-ab"),
    on.ApiKeyRevoked(),
)


def key(limits: KeyLimits = LIMITS) -> ApiKey:
    """A key as it begins."""
    wish = KeyWish(name="editor", limits=limits)
    return ApiKey.made("key_1", TEXT, caller_id=CALLER, wish=wish, at_ms=NOW_MS)


def keyed(credit: int = 10_000) -> Escrow:
    """What the key asked for."""
    return replace(opened(Shape(credit=credit)), key_id="key_1")


def shown(transfers: tuple[Transfer, ...]) -> list[str]:
    """Those on accounts of the key."""
    return [
        f"{one.kind} {one.debit.code} / {one.credit.code} {one.amount}"
        for one in transfers
        if "key/" in one.debit.code + one.credit.code
    ]


def test_a_key_is_its_text_by_digest_alone() -> None:
    """How it begins is kept to be recognised, and nothing else of it."""
    made = key()
    assert made.secret_sha256 == secret_digest(TEXT)
    assert TEXT not in repr(made)
    assert made.hint == TEXT[:15]
    assert made.limits.allowed_models == frozenset({"a/b", "c/d"})
    assert KeyLimits().allowed_models is None


@pytest.mark.parametrize("text", ["", "sk-cobot-", TEXT[:-1], f"{TEXT}a", f"{TEXT}\n", "sk-or-v1"])
def test_only_the_shape_of_a_key_is_one(text: str) -> None:
    """Anything else is told so before the books are asked."""
    assert is_secret(TEXT)
    assert not is_secret(text)


def test_a_revoked_key_is_over() -> None:
    """No event may follow; each may happen to a live one."""
    assert {state for state, _ in API_KEY_TRANSITIONS} == {ApiKeyState.LIVE}
    assert {event for _, event in API_KEY_TRANSITIONS} == set(map(type, EVENTS))
    ended = api_key_transition(key(), on.ApiKeyRevoked(), at_ms=NOW_MS).api_key
    assert ended is not None
    for event in EVENTS:
        with pytest.raises(IllegalTransition):
            api_key_transition(ended, event, at_ms=NOW_MS)


@given(st.lists(st.sampled_from(EVENTS[:2]), max_size=5), st.booleans())
def test_the_entries_alone_make_the_row_anew(events: list[on.ApiKeyEvent], ends: bool) -> None:  # noqa: FBT001 - hypothesis
    """Whatever happened to it, an audit needs no row to know it."""
    row = key()
    made = make_api_key(row)
    again = api_key_as_made(row.key_id, CALLER, made.facts, at_ms=NOW_MS)
    assert again == row
    for event in (*events, *([on.ApiKeyRevoked()] if ends else [])):
        told = api_key_transition(row, event, at_ms=NOW_MS)
        assert told.api_key is not None
        row = told.api_key
        lived = api_key_transition(again, api_key_event_of(told.kind, told.facts), at_ms=NOW_MS)
        assert lived == told
        again = row
    assert row.version == 1 + len(events) + ends


def test_what_no_event_says_is_refused() -> None:
    """An audit names the entry, and goes on."""
    with pytest.raises(ValueError, match="no event of a key"):
        api_key_event_of("api_key_sold", {})
    with pytest.raises(KeyError):
        api_key_event_of("api_key_changed", {})
    facts = {**make_api_key(key()).facts, "limit_msat": "all"}
    with pytest.raises(ValueError, match="is no amount"):
        api_key_as_made("key_1", CALLER, facts, at_ms=NOW_MS)


def test_two_words_of_one_version_have_keys_of_their_own() -> None:
    """Else the second would be taken for the first, and be lost."""
    other = on.ApiKeyChanged(name="other", limits=LIMITS)
    keys = {api_key_transition(key(), event, at_ms=NOW_MS).key for event in (EVENTS[0], other)}
    assert len(keys) == 2


def test_h5_reserves_the_ceiling_twice_under_both_limits() -> None:
    """In all and of the day; without a limit it is counted all the same."""
    standing = CallerStanding(caller_id=CALLER)
    for limits, guards in ((LIMITS, {"key": 70_000, "key_day": 20_000}), (KeyLimits(), {})):
        told = open_escrow(keyed(), standing=standing, terms=TERMS, bodies=BODIES, limits=limits)
        assert shown(told.transfers) == [
            "pending key/key_1/spent / exposure/contra/msat 10000",
            f"pending key/key_1/day/{DAY} / exposure/contra/msat 10000",
        ]
        found = {
            one.guard.name: one.guard.limit
            for one in told.transfers
            if one.guard and one.guard.name != "available"
        }
        assert found == guards
        assert told.facts["key_id"] == "key_1"


def test_a_key_never_opens_what_credit_does_not_cover() -> None:
    """What is left would be invoiced, to somebody who cannot pay."""
    standing = CallerStanding(caller_id=CALLER)
    with pytest.raises(LedgerUnbalanced):
        open_escrow(keyed(9_999), standing=standing, terms=TERMS, bodies=BODIES, limits=LIMITS)


def test_the_key_spends_the_price_and_gets_a_refund_back() -> None:
    """Posted as credit is, and returned with what its caller gets back."""
    priced = replace(
        keyed(), state=EscrowState.PRICED, price_msat=7_000, credit_used_msat=7_000, priced_pusd=7
    )
    covered = bookings(priced, of_sale.CoveredByCredit(), priced)
    assert shown(covered) == [
        "post key/key_1/spent / exposure/contra/msat 7000",
        f"post key/key_1/day/{DAY} / exposure/contra/msat 7000",
    ]
    settled = replace(priced, state=EscrowState.SETTLED)
    lost = bookings(settled, of_sale.CompletionLost(), settled)
    assert shown(lost)[0] == "posted exposure/contra/msat / key/key_1/spent 7000"
    lapsed = bookings(settled, of_sale.ClaimLapsed(kept_msat=6_500), settled)
    assert shown(lapsed)[1] == f"posted exposure/contra/msat / key/key_1/day/{DAY} 500"


def test_the_key_is_in_the_digest_and_leaves_others_as_they_were() -> None:
    """An edited key of a row is found; rows from before keys have the digest that they had."""
    plain = opened()
    assert opened_digest(plain) == opened_digest(replace(plain, key_id=None))
    digests = {opened_digest(replace(plain, key_id=name)) for name in (None, "key_1", "key_2")}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("shortfall", "says"),
    [
        (
            Shortfall(
                available_msat=10_000, reserved_msat=0, needed_msat=25_500, fits_max_tokens=40
            ),
            (
                "Not enough credit: 10 sat are left, and this request may cost up to 25.5 sat; "
                "max_tokens 40 would fit."
            ),
        ),
        (
            Shortfall(
                available_msat=0, reserved_msat=2_000, needed_msat=3_000, cheaper_model="a/b"
            ),
            (
                "Not enough credit: 0 sat are left (2 sat more are reserved by requests under "
                "way), and this request may cost up to 3 sat; as it is, the model a/b would fit."
            ),
        ),
        (
            Shortfall(available_msat=1, reserved_msat=0, needed_msat=3_000),
            (
                "Not enough credit: 0.001 sat are left, and this request may cost up to 3 sat; not "
                "even one token of an answer would fit."
            ),
        ),
    ],
)
def test_too_little_credit_is_said_in_one_sentence(shortfall: Shortfall, says: str) -> None:
    """What is left, what others hold, what it needs, and what would do."""
    assert credit_short(shortfall).message == says


def test_a_limit_says_what_is_taken_and_what_to_do() -> None:
    """Of a day also when it is whole again; nothing is advised that cannot help."""
    day = key_limit_reached(
        exposure_exceeded("key_day", open_amount=15_000, limit=20_000, asked=10_000)
    )
    assert day.message == (
        "This API key has spent or reserved 15 sat of the 20 sat that it may spend a day, and this "
        "request may cost up to 10 sat: ask for less with a lower max_tokens or a cheaper model, "
        "ask again after midnight UTC, or let its owner raise the limit (PATCH /v1/keys/{id})."
    )
    full = key_limit_reached(
        exposure_exceeded("key", open_amount=20_000, limit=20_000, asked=10_000)
    )
    assert full.message.endswith("10 sat: let its owner raise the limit (PATCH /v1/keys/{id}).")
