"""What callers hear of a sale that cannot be booked, and while nothing is sold at all."""

from __future__ import annotations

from pathlib import Path

import orjson

from tests.fakes.twin_books import file_twins
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, CHAT, FaceRig, ask_of, open_face

QUOTES = "/v1/quotes"


def choosy(rig: FaceRig, kind: str | None) -> None:
    """From now on the books take no such entry."""
    file_twins(rig.parts.books).unbookable = kind


def code_of(reply: Reply) -> str:
    """The code of an error."""
    document = orjson.loads(reply.body)
    code: str = document["error"]["code"]
    return code


async def test_one_sale_that_cannot_be_booked_is_told_so_and_others_go_on(tmp_path: Path) -> None:
    """503 on the identical POST, on its escrow and on its completion; never a second run."""
    async with open_face(tmp_path) as rig:
        choosy(rig, "cost_known")
        for _ in range(3):
            refused = await rig.ask()
            assert (refused.status, code_of(refused)) == (503, "quarantined")
            assert refused.all("x-should-retry") == ["false"]
            assert "out of range" not in refused.body.decode()
        (escrow_id,) = rig.books.rows.escrows
        for path in (f"/v1/escrows/{escrow_id}", f"/v1/escrows/{escrow_id}/completion"):
            shown = await rig.get(path)
            assert (shown.status, code_of(shown)) == (503, "quarantined")
        assert rig.upstream.posts == 1
        choosy(rig, None)
        bought, _ = await rig.buy(ask_of("Another?"))
        assert bought.status == 200
        fresh = await rig.ask(headers={"idempotency-key": "fresh"})
        assert fresh.status == 402


async def test_while_releases_are_stopped_nothing_is_sold_or_quoted(tmp_path: Path) -> None:
    """Refused before anything is spent; a metric says it; opened, all is as before."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        assert (await rig.ask(ask_of("Unpaid?"))).status == 402
        await rig.service.flows.record_event.keep_releases.stop("a hold differs")
        posts = rig.upstream.posts
        quoting = await rig.caller.send("POST", QUOTES, body=orjson.dumps(ASK))
        answers = (
            await rig.ask(ask_of("Another?")),
            await rig.ask(ask_of("Unpaid?")),
            await rig.ask(token=token),
            await rig.ask(b""),
            quoting,
        )
        for reply in answers:
            assert (reply.status, code_of(reply)) == (503, "releases_stopped")
            assert reply.all("retry-after") == ["60"]
        assert rig.upstream.posts == posts
        metrics = (await rig.get("/metrics")).body.decode()
        assert "cobot_meter_releases_stopped 1.0" in metrics
        await rig.service.flows.record_event.keep_releases.open("looked at")
        assert (await rig.ask(token=token)).status == 200
        assert (await rig.caller.send("POST", CHAT, body=orjson.dumps(ASK))).status in {200, 402}
