"""The ten rules that eight real payment clients taught us, each over the whole face."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.bolt11 import decode_bolt11
from cobot_meter.domain.escrow.states import Progress
from tests.fakes.upstream_outcomes import Completes
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import CHAT, FaceRig, ask_of, challenge_of, open_face

HEAD_BYTES_MAX = 4_096


async def unpaid_routes(rig: FaceRig) -> list[Reply]:
    """Every kind of answer to somebody who has no proof."""
    asked = await rig.ask()
    escrow_id = asked.header("x-escrow-id")
    return [
        asked,
        await rig.ask(b""),
        await rig.get(f"/v1/escrows/{escrow_id}/completion"),
        await rig.get(f"/v1/escrows/{escrow_id}/completion", token="Bearer any"),
    ]


async def test_rule_1_the_status_is_402_and_never_401(tmp_path: Path) -> None:
    """Without a proof, and with one that proves nothing: clients only act on a 402."""
    async with open_face(tmp_path) as rig:
        for reply in await unpaid_routes(rig):
            assert reply.status == 402
        for target in ("/v1/credits", "/v1/ledger", "/v1/key", "/v1/generation?id=gen-1"):
            assert (await rig.get(target)).status == 402
        for token in ("L402 nonsense:00", "Bearer sk-1", "Basic YTpi", f"L402 AAAA:{'0' * 64}"):
            assert (await rig.ask(token=token)).status == 402
            assert (await rig.get("/v1/credits", token=token)).status == 402


async def test_rules_2_and_3_l402_comes_first(tmp_path: Path) -> None:
    """The first WWW-Authenticate is L402: macaroon, invoice, then version and token."""
    async with open_face(tmp_path) as rig:
        for reply in await unpaid_routes(rig):
            if not reply.all("www-authenticate"):
                continue
            macaroon, invoice = challenge_of(reply)
            first = reply.all("www-authenticate")[0]
            tail = f', version="0", token="{macaroon}"'
            assert first == f'L402 macaroon="{macaroon}", invoice="{invoice}"{tail}'


async def test_rule_4_an_unpaid_ask_runs_once(tmp_path: Path) -> None:
    """A client that asks three times before it pays has one run and one invoice to pay."""
    async with open_face(tmp_path) as rig:
        replies = [await rig.ask() for _ in range(3)]
        assert len({challenge_of(reply)[1] for reply in replies}) == 1
        token = await rig.pay(replies[-1])
        assert (await rig.ask(token=token)).status == 200
        assert rig.upstream.posts == 1


async def test_rule_5_paid_and_unclaimed_is_never_invoiced_again(tmp_path: Path) -> None:
    """409 without a challenge, and the guard is lifted once it is claimed."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        await rig.settle(rig.last)
        guarded = await rig.ask()
        assert (guarded.status, guarded.all("www-authenticate")) == (409, [])
        assert (await rig.ask(token=token)).status == 200
        assert (await rig.ask()).status == 402
        assert rig.upstream.posts == 2


@pytest.mark.parametrize(
    "written",
    [
        "L402 {m}:{p}",
        "l402 {m}:{p}",
        "LSAT {m}:{p}",
        "L402 L402 {m}:{p}",
        "L402 LSAT {m}:{p}",
        "{m}:{p}",
        "L402  {m} : {p}",
        "L402 {unpadded}:{upper}",
        "L402 {urlsafe}:{p}",
        "Bearer sk-none, L402 {m}:{p}",
    ],
)
async def test_rule_6_sloppy_credentials_are_accepted(tmp_path: Path, written: str) -> None:
    """Whatever the clients in the field send for a paid token opens what was paid for."""
    async with open_face(tmp_path) as rig:
        _, _, pair = (await rig.pay(await rig.ask())).partition(" ")
        macaroon, _, preimage = pair.partition(":")
        token = written.format(
            m=macaroon,
            p=preimage,
            upper=preimage.upper(),
            unpadded=macaroon.rstrip("="),
            urlsafe=macaroon.replace("+", "-").replace("/", "_"),
        )
        assert (await rig.ask(token=token)).status == 200


async def test_rule_6_several_authorization_lines(tmp_path: Path) -> None:
    """An SDK's Bearer beside the proof, each in a line of its own, is passed over."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask()
        token = await rig.pay(asked)
        lines = [("Authorization", "Bearer none"), ("Authorization", token)]
        target = f"/v1/escrows/{asked.header('x-escrow-id')}/completion"
        assert (await rig.caller.send("GET", target, headers=lines)).status == 200


async def test_rule_7_a_token_with_another_body_is_a_new_challenge(tmp_path: Path) -> None:
    """402 with a new invoice for the caller that the old token names, never 401 or 403."""
    async with open_face(tmp_path) as rig:
        first = await rig.ask()
        token = await rig.pay(first)
        caller_id = rig.last.caller_id
        rig.upstream.then(Completes(cost="0.0007"))
        second = await rig.ask(ask_of("Another body"), token=token)
        assert second.status == 402
        assert challenge_of(second)[1] != challenge_of(first)[1]
        assert rig.last.caller_id == caller_id
        assert (await rig.ask(token=token)).status == 200


async def test_rule_8_the_same_token_and_body_read_the_same_answer(tmp_path: Path) -> None:
    """A lost response never costs twice (paid_replay_returns_same_body)."""
    async with open_face(tmp_path) as rig:
        first, token = await rig.buy()
        replays = [await rig.ask(token=token) for _ in range(3)]
        assert {reply.body for reply in replays} == {first.body}
        assert rig.upstream.posts == 1
        assert rig.last.progress is Progress.RELEASED


async def test_rule_9_invoices_are_whole_sats_and_the_rest_is_the_callers(tmp_path: Path) -> None:
    """At least 1 sat, no fraction, and what the rounding added is credit, used first."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask()
        amount_msat = decode_bolt11(challenge_of(asked)[1]).amount_msat
        assert amount_msat is not None
        assert amount_msat % 1_000 == 0 < amount_msat
        cost = asked.json()["escrow"]["cost"]
        assert cost["rounding_msat"] == amount_msat - cost["price_msat"] > 0
        token = await rig.pay(asked)
        bought = await rig.ask(token=token)
        assert bought.json()["cobot"]["credited_msat"] == cost["rounding_msat"]
        await rig.ask(ask_of("Next"), token=token)
        assert rig.last.credit_used_msat == min(cost["rounding_msat"], rig.last.price_msat)


async def test_rule_10_headers_stay_under_4_kb(tmp_path: Path) -> None:
    """Proxies such as nginx keep one page for the headers of an answer."""
    async with open_face(tmp_path) as rig:
        for reply in await unpaid_routes(rig):
            assert reply.head_bytes < HEAD_BYTES_MAX
        bought, _ = await rig.buy()
        assert bought.head_bytes < HEAD_BYTES_MAX


async def test_the_402_tells_the_next_step(tmp_path: Path) -> None:
    """402_body_tells_next_step: price, invoice, where it stands and what to send, in words."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask()
        document = reply.json()
        assert "repeat the same request with Authorization: L402" in reply.error["message"]
        assert document["invoice"] == challenge_of(reply)[1]
        assert document["price_sats"] == 1
        assert document["escrow"]["max_tokens"] == 1_000
        assert document["escrow"]["cost"]["standing"] == "confirmed"
        assert reply.header("location") == f"/v1/escrows/{rig.last.escrow_id}"
        assert CHAT not in str(reply.header("location"))
