"""Following an escrow and claiming what it holds: nothing leaks to whoever has not paid."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.retention import DAY_MS
from cobot_meter.http_api.context import FaceLimits
from tests.fakes.upstream_outcomes import Completes, Failed
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import FaceRig, ask_of, challenge_of, narrowed, open_face

ANSWER = "Lightning settles in a second."
SOON = FaceLimits(poll_slice_s=0.01)
EVENTS = {"Accept": "text/event-stream"}


def path_of(rig: FaceRig) -> str:
    """Where the newest escrow is followed."""
    return f"/v1/escrows/{rig.last.escrow_id}"


def hides(reply: Reply) -> bool:
    """Whether nothing of the answer is in it."""
    return ANSWER.encode() not in reply.body and b"choices" not in reply.body


async def test_the_status_shows_state_and_invoice_and_nothing_else(tmp_path: Path) -> None:
    """Whoever holds the id sees what to pay and where it stands, never what was bought."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask()
        reply = await rig.get(path_of(rig))
        document = reply.json()
        assert (reply.status, document["state"]) == (200, "invoiced")
        assert document["invoice"]["payment_request"] == challenge_of(asked)[1]
        assert document["invoice"]["amount_msat"] == document["cost"]["amount_msat"]
        assert document["expires_at"] == document["invoice"]["expires_at"]
        assert document["completion_url"].endswith(f"{path_of(rig)}/completion")
        assert document["error"] is None
        assert "macaroon" not in document
        assert reply.header("cache-control") == "no-store"
        assert hides(reply)


@pytest.mark.parametrize(
    "target", ["/v1/escrows/esc_unknown", "/v1/escrows/", "/v1/escrows/a/b/c", "/v1/escrows/%00"]
)
async def test_an_unknown_escrow_is_404(tmp_path: Path, target: str) -> None:
    """OpenAI-shaped, whatever the id looks like."""
    async with open_face(tmp_path) as rig:
        for suffix in ("", "/completion"):
            reply = await rig.get(f"{target}{suffix}")
            assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_a_failed_escrow_says_why(tmp_path: Path) -> None:
    """Its status has the error, and its completion answers with it."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Failed())
        await rig.ask()
        assert (await rig.get(path_of(rig))).json()["error"]["code"] == "upstream_failed"
        reply = await rig.get(f"{path_of(rig)}/completion")
        assert (reply.status, reply.error["code"]) == (502, "upstream_failed")


async def test_a_long_poll_ends_when_the_run_does(tmp_path: Path) -> None:
    """`?wait=` answers as soon as there is something to pay, and not at every step before."""
    async with open_face(tmp_path, limits=SOON) as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        await rig.ask(headers={"Prefer": "respond-async"})
        async with asyncio.TaskGroup() as tasks:
            poll = tasks.create_task(rig.get(f"{path_of(rig)}?wait=60"))
            await rig.until(Progress.REQUESTED)
            gate.set()
        assert poll.result().json()["state"] == "invoiced"


async def test_a_long_poll_ends_when_it_is_paid(tmp_path: Path) -> None:
    """The next change after the invoice is the payment."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask()
        async with asyncio.TaskGroup() as tasks:
            poll = tasks.create_task(rig.get(f"{path_of(rig)}?wait=60"))
            await asyncio.sleep(0)
            await rig.pay(asked)
            await rig.settle(rig.last)
        assert poll.result().json()["state"] == "settled"


async def test_a_long_poll_gives_up_and_one_with_nothing_to_wait_for_does_not_wait(
    tmp_path: Path,
) -> None:
    """When the time is up the state is told as it is; an escrow that has ended answers at once."""
    async with open_face(tmp_path, limits=SOON) as rig:
        await rig.ask()
        assert (await rig.get(f"{path_of(rig)}?wait=1")).json()["state"] == "invoiced"
        await rig.buy()
        assert (await rig.get(f"{path_of(rig)}?wait=60")).json()["state"] == "released"


@pytest.mark.parametrize("wait", ["61", "-1", "x", "", "1.5", "%D9%A1"])
async def test_a_wait_that_is_none_is_refused(tmp_path: Path, wait: str) -> None:
    """Whole seconds from 0 to 60, in ASCII digits."""
    async with open_face(tmp_path) as rig:
        reply = await rig.get(f"/v1/escrows/esc_unknown?wait={wait}")
        assert (reply.status, reply.error["param"]) == (400, "wait")


async def test_its_own_pair_opens_it(tmp_path: Path) -> None:
    """Macaroon and preimage read it, also while only the node knows of the payment."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        assert rig.last.progress is Progress.INVOICED
        reply = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert reply.json()["choices"][0]["message"]["content"] == ANSWER
        assert reply.header("cache-control") == "private, no-store"
        assert reply.header("x-escrow-id") == rig.last.escrow_id
        again = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert again.body == reply.body


@pytest.mark.parametrize("paid", [False, True])
async def test_the_id_alone_is_told_no_macaroon(tmp_path: Path, *, paid: bool) -> None:
    """Every hop knows the preimage of what it forwarded, so an id is not told the other half."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask()
        if paid:
            await rig.pay(asked)
            await rig.settle(rig.last)
        shown = await rig.get(path_of(rig), peer="198.51.100.9")
        reply = await rig.get(f"{path_of(rig)}/completion", peer="198.51.100.9")
        for told in (shown, reply):
            assert told.all("www-authenticate") == []
            assert b'macaroon"' not in told.body
            assert rig.last.caller_id.encode() not in told.body
            assert hides(told)
        assert (reply.status, reply.error["code"]) == (
            (409, "already_paid") if paid else (402, "payment_required")
        )
        assert reply.error["metadata"]["escrow_id"] == rig.last.escrow_id


async def test_its_caller_is_challenged_there_again(tmp_path: Path) -> None:
    """Another token of the very caller whose escrow it is: the same macaroon and invoice."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy()
        rig.upstream.then(Completes(cost="0.0007"))
        asked = await rig.ask(ask_of("Dearer"), token=token)
        reply = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert (reply.status, challenge_of(reply)) == (402, challenge_of(asked))
        own = await rig.pay(reply)
        await rig.settle(rig.last)
        again = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert (again.status, again.json()["macaroon"]) == (409, challenge_of(asked)[0])
        assert (await rig.get(f"{path_of(rig)}/completion", token=own)).status == 200


async def test_nothing_leaks_to_half_a_proof(tmp_path: Path) -> None:
    """Forged tokens, wrong preimages, a preimage alone or with another's macaroon: no answer."""
    async with open_face(tmp_path) as rig:
        _, other = await rig.buy(ask_of("Other"))
        other_macaroon = other.removeprefix("L402 ").partition(":")[0]
        token = await rig.pay(await rig.ask())
        macaroon, _, preimage = token.removeprefix("L402 ").partition(":")
        halves = [
            f"L402 {macaroon}:{'0' * 64}",
            f"L402 :{preimage}",
            f"L402 {preimage}",
            f"L402 {other_macaroon}:{preimage}",
            f"L402 {macaroon[:-8]}AAAAAAA=:{preimage}",
            f"Bearer {preimage}",
        ]
        for half in halves:
            for reply in (
                await rig.get(f"{path_of(rig)}/completion", token=half),
                await rig.ask(token=half),
            ):
                assert reply.status == 402
                assert hides(reply)
        await rig.settle(rig.last)
        for half in halves:
            reply = await rig.get(f"{path_of(rig)}/completion", token=half)
            assert (reply.status, reply.all("www-authenticate")) == (409, [])
            assert hides(reply)


async def test_an_expired_pair_opens_nothing(tmp_path: Path) -> None:
    """A holder may narrow a token's life, and then it neither opens nor names anything."""
    async with open_face(tmp_path) as rig:
        token = narrowed(await rig.pay(await rig.ask()), "chat_valid_until=1")
        await rig.settle(rig.last)
        reply = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert reply.status == 409
        assert hides(reply)
        assert (await rig.ask(token=token)).error["code"] == "already_paid"
        assert rig.last.progress is Progress.SETTLED


async def test_what_was_released_takes_the_pair_too(tmp_path: Path) -> None:
    """Whoever reads it first opens it for nobody else."""
    async with open_face(tmp_path) as rig:
        await rig.buy()
        reply = await rig.get(f"{path_of(rig)}/completion")
        assert (reply.status, reply.error["code"]) == (409, "already_paid")
        assert hides(reply)


async def test_someone_elses_escrow_is_404(tmp_path: Path) -> None:
    """A valid credential of another caller does not even learn that there is something to pay."""
    async with open_face(tmp_path) as rig:
        _, token = await rig.buy(ask_of("Mine"))
        await rig.ask(peer="198.51.100.9")
        reply = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        await rig.settle(rig.last)
        assert (await rig.get(f"{path_of(rig)}/completion", token=token)).status == 404


async def test_what_credit_paid_for_is_read_with_the_callers_credential(tmp_path: Path) -> None:
    """No invoice, so no pair: the credential that named the caller opens it, nobody else's."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(5)
        assert (await rig.ask(token=token)).status == 200
        own = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert own.json()["choices"][0]["message"]["content"] == ANSWER
        nobody = await rig.get(f"{path_of(rig)}/completion")
        assert (nobody.status, nobody.error["code"]) == (402, "invalid_credential")
        stranger = await rig.top_up(2)
        assert (await rig.get(f"{path_of(rig)}/completion", token=stranger)).status == 404


async def test_before_there_is_anything_to_pay(tmp_path: Path) -> None:
    """503 cost_pending with Retry-After while it runs."""
    async with open_face(tmp_path) as rig:
        rig.upstream.then(Completes(gate=asyncio.Event()))
        await rig.ask(headers={"Prefer": "respond-async"})
        await rig.until(Progress.REQUESTED)
        reply = await rig.get(f"{path_of(rig)}/completion")
        assert (reply.status, reply.error["code"]) == (503, "cost_pending")
        assert reply.header("retry-after") == "2"


async def test_what_is_no_longer_kept_is_410(tmp_path: Path) -> None:
    """Expired for whoever asks, released and dropped for its buyer: gone, and never run again."""
    async with open_face(tmp_path) as rig:
        await rig.ask()
        await rig.expire(rig.last)
        expired = await rig.get(f"{path_of(rig)}/completion")
        assert (expired.status, expired.error["code"]) == (410, "completion_gone")
        _, token = await rig.buy(ask_of("Second"))
        await rig.later(DAY_MS + 1)
        await rig.drive(rig.last)
        dropped = await rig.get(f"{path_of(rig)}/completion", token=token)
        assert (dropped.status, dropped.error["code"]) == (410, "completion_gone")


async def test_it_is_read_as_a_stream_when_asked_for(tmp_path: Path) -> None:
    """By `Accept`, or because the ask itself was for a stream and `Accept` says nothing else."""
    async with open_face(tmp_path) as rig:
        _, plain = await rig.buy()
        target = f"{path_of(rig)}/completion"
        assert (await rig.get(target, token=plain)).header("content-type") == "application/json"
        events = await rig.get(target, token=plain, headers=EVENTS)
        assert events.header("content-type") == "text/event-stream"
        assert events.body.endswith(b"data: [DONE]\n\n")
        _, streamed = await rig.buy(ask_of("As a stream", stream=True))
        target = f"{path_of(rig)}/completion"
        assert (await rig.get(target, token=streamed)).body.startswith(b"data: {")
        as_json = await rig.get(target, token=streamed, headers={"Accept": "application/json"})
        assert as_json.json()["choices"][0]["message"]["content"] == ANSWER
