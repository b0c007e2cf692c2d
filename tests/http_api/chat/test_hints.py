"""Hints in headers and in the body: one gate, one meaning, and nothing of them upstream."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.domain.routing.hints import NO_HINTS, Downgrade, Hints, PrivacyTier, Task
from cobot_meter.http_api.chat.hints import MEMBERS, HeaderLines, read_hints
from cobot_meter.http_api.chat.request import parse_chat_request
from tests.http_api.face_rig import ASK, FaceRig, challenge_of, open_face

SAID = {
    "task": "code",
    "session": "s-1",
    "max_cost": "500 msat",
    "downgrade": "never",
    "privacy": "public",
}
READ = Hints(
    task=Task.CODE,
    session="s-1",
    max_cost=MaxCost(msat=500),
    downgrade=Downgrade.NEVER,
    privacy=PrivacyTier.PUBLIC,
)
WRONG = {
    "task": ["", "cod", "code,factual", "x" * 5_000],
    "session": ["", "two words", "ä", "x" * 201, "a\u202eb"],
    "max_cost": ["", "0", "0sat", "-1sat", "1.5sat", "1e3sat", "1 btc", "nan usd", "1"],
    "downgrade": ["", "true", "sometimes"],
    "privacy": ["", "secret"],
}
WORDS = st.sampled_from([None, *Task])
HINTS = st.builds(
    Hints,
    task=WORDS,
    session=st.none() | st.text(alphabet="abc=|,", min_size=1, max_size=4),
    max_cost=st.none() | st.builds(MaxCost, msat=st.integers(min_value=1, max_value=9)),
    downgrade=st.sampled_from([None, *Downgrade]),
    privacy=st.sampled_from([None, *PrivacyTier]),
)


def in_headers(said: dict[str, str]) -> dict[str, str]:
    """The same hints as headers."""
    return {MEMBERS[name]: value for name, value in said.items()}


def lines_of(said: dict[str, str], *, times: int = 1) -> HeaderLines:
    """The header lines that a request with these has."""
    there = {MEMBERS[name].lower().encode(): value.encode() for name, value in said.items()}
    return lambda name: [there[name]] * times if name in there else []


@pytest.mark.parametrize("name", list(SAID))
def test_a_header_and_a_member_say_the_same(name: str) -> None:
    """Alone or both at once, in any case of letters; and nothing said is no hint."""
    one = {name: SAID[name]}
    loud = {name: SAID[name].upper() if name != "session" else SAID[name]}
    of_body = read_hints(one, lines_of({}))
    assert of_body == read_hints(None, lines_of(loud)) == read_hints(loud, lines_of(one))
    assert getattr(of_body, name) == getattr(READ, name)
    assert read_hints({name: None}, lines_of({})) == read_hints(None, lines_of({})) == NO_HINTS


def test_all_of_them_are_read_together() -> None:
    """Some here and some there."""
    here, there = {"task": "code", "session": "s-1"}, dict(SAID)
    assert read_hints(SAID, lines_of({})) == READ
    assert read_hints(here, lines_of({n: v for n, v in there.items() if n not in here})) == READ


@pytest.mark.parametrize(("name", "wrong"), [(n, w) for n, all_ in WRONG.items() for w in all_])
def test_what_is_no_hint_is_refused(name: str, wrong: str) -> None:
    """In one sentence that names where it stands and fits into a log."""
    with pytest.raises(RequestInvalid) as of_body:
        read_hints({name: wrong}, lines_of({}))
    with pytest.raises(RequestInvalid) as of_header:
        read_hints(None, lines_of({name: wrong}) if wrong.isascii() else lambda _: [wrong.encode()])
    assert of_body.value.param == f"cobot.{name}"
    assert of_header.value.param == (MEMBERS[name] if wrong.isascii() else MEMBERS["task"])
    assert len(str(of_body.value)) < 400


@pytest.mark.parametrize(
    ("member", "param"),
    [
        ([], "cobot"),
        ("code", "cobot"),
        ({"tusk": "code"}, "cobot"),
        ({"task": 5}, "cobot.task"),
        ({"max_cost": 500}, "cobot.max_cost"),
        ({"session": {}}, "cobot.session"),
    ],
)
def test_a_member_that_is_none_is_refused(member: object, param: str) -> None:
    """A mistyped hint is not passed over: it would be a promise that nobody keeps."""
    with pytest.raises(RequestInvalid) as refused:
        read_hints(member, lines_of({}))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("name", "other"),
    [("task", "factual"), ("session", "s-2"), ("max_cost", "1sat"), ("downgrade", "allow")],
)
def test_two_that_contradict_each_other_are_refused(name: str, other: str) -> None:
    """Neither wins; and a header that is given twice is refused even with one value."""
    with pytest.raises(RequestInvalid, match="contradict"):
        read_hints({name: SAID[name]}, lines_of({name: other}))
    with pytest.raises(RequestInvalid, match="twice"):
        read_hints(None, lines_of({name: other}, times=2))


@given(one=HINTS, other=HINTS)
def test_two_hints_have_one_identity_only_where_they_are_the_same(one: Hints, other: Hints) -> None:
    """But for the most that it may cost, which changes no question."""

    def asked(hints: Hints) -> tuple[object, ...]:
        return (hints.task, hints.session, hints.downgrade, hints.privacy)

    assert (one.identity == other.identity) is (asked(one) == asked(other))


def test_a_body_without_hints_has_the_digest_it_always_had() -> None:
    """So that macaroons and quotes of before are those of the same request."""
    plain = parse_chat_request(orjson.dumps(ASK))
    for silent in ({}, None, {"task": None}, {"max_cost": "9sat"}):
        assert parse_chat_request(orjson.dumps({**ASK, "cobot": silent})).digest == plain.digest
    hinted = parse_chat_request(orjson.dumps({**ASK, "cobot": {"task": "code"}}))
    assert hinted.digest != plain.digest


async def asked(rig: FaceRig, said: dict[str, str], *, body: bool) -> str:
    """The invoice of an ask with these hints, in the body or in headers."""
    document = {**ASK, "cobot": said} if body else ASK
    reply = await rig.ask(document, headers={} if body else in_headers(said))
    assert reply.status == 402, reply.body
    return challenge_of(reply)[1]


async def test_other_hints_are_another_ask(tmp_path: Path) -> None:
    """The same ones find what they asked for, wherever they stand; a lower cap finds it too."""
    async with open_face(tmp_path) as rig:
        code = await asked(rig, {"task": "code"}, body=True)
        assert await asked(rig, {"task": "code"}, body=False) == code
        assert await asked(rig, {"task": "code", "max_cost": "100sat"}, body=False) == code
        others = [
            await asked(rig, said, body=False)
            for said in ({}, {"task": "factual"}, {"task": "code", "session": "a"})
        ]
        assert len({code, *others}) == 4 == rig.upstream.posts


async def test_a_proof_claims_with_the_hints_it_was_asked_with(tmp_path: Path) -> None:
    """As headers or as a member: it is one request."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask({**ASK, "cobot": {"task": "code"}}))
        claimed = await rig.ask(ASK, token=token, headers={"X-Cobot-Task": "code"})
        assert claimed.status == 200
        assert rig.upstream.posts == 1


async def test_no_hint_reaches_the_upstream(tmp_path: Path) -> None:
    """Neither the member nor a word of it."""
    async with open_face(tmp_path) as rig:
        assert (await rig.ask({**ASK, "cobot": {**SAID, "max_cost": "100sat"}})).status == 402
        sent = rig.upstream.runs[-1].body
        assert b"cobot" not in sent
        assert b"s-1" not in sent


async def test_a_cap_in_the_body_is_kept_before_spending(tmp_path: Path) -> None:
    """A named model whose ceiling is above it is refused with both figures, and nothing runs."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask({**ASK, "cobot": {"max_cost": "1msat"}})
        assert (reply.status, reply.error["code"]) == (400, "ceiling_over_cap")
        quote = await rig.send("POST", "/v1/quotes", ASK)
        assert f"{quote.json()['ceiling']['msat']} msat" in reply.error["message"]
        assert "allows 1 msat" in reply.error["message"]
        assert rig.upstream.posts == len(rig.escrows) == 0


async def test_a_quote_is_for_its_hints(tmp_path: Path) -> None:
    """Brought back with others it is of another request."""
    async with open_face(tmp_path) as rig:
        said = {"task": "code"}
        quote = await rig.send("POST", "/v1/quotes", {**ASK, "cobot": said})
        held = {"X-Cobot-Quote": quote.json()["quote"]}
        assert (await rig.ask(ASK, headers={**held, **in_headers(said)})).status == 402
        other = await rig.ask(ASK, headers={**held, "X-Cobot-Task": "factual"})
        assert (other.status, other.error["param"]) == (400, "X-Cobot-Quote")
