"""A chain of models through the face: the caller reads one answer, and why it is another's."""

from __future__ import annotations

from pathlib import Path

from cobot_meter.domain.pricing.prices import ModelPrice
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Unknown, fake_model
from tests.http_api.face_rig import MODEL, ask_of, open_face

OTHER = fake_model("meta/other", price=ModelPrice(prompt_pusd=90_000, completion_pusd=90_000))


async def test_one_answer_that_says_who_gave_it(tmp_path: Path) -> None:
    """402, state and completion name the model asked, the model served, and the reason."""
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (PRICED_MODEL, OTHER)
        await rig.service.flows.catalogue.refresh()
        rig.upstream.by_model = {MODEL: Unknown(cost="0.0000100"), OTHER.model_id: Completes()}
        asked = ask_of("Which of you answers?", models=[OTHER.model_id])
        challenge = await rig.ask(asked)
        assert challenge.status == 402
        told = challenge.json()["escrow"]
        assert told["model"] == OTHER.model_id
        assert told["fallback"] == {"asked_model": MODEL, "reason": "outcome_unknown"}
        status = (await rig.get(f"/v1/escrows/{told['id']}")).json()
        assert status["state"] == "invoiced"
        assert status["fallback"] == told["fallback"]
        first, second = status["attempts"]
        assert (first["n"], first["model"], first["status"]) == (1, MODEL, "outcome_unknown")
        assert (second["n"], second["model"], second["status"]) == (2, OTHER.model_id, "ok")
        assert (first["billed"], second["billed"]) == (False, True)
        assert challenge.json()["cobot"]["attempts"] == status["attempts"]
        bought, _ = await rig.buy(asked)
        assert bought.status == 200
        document = bought.json()
        assert document["cobot"]["fallback"] == told["fallback"]
        assert document["cobot"]["cost"]["served_model"] == OTHER.model_id
        assert document["cobot"]["cost"]["provider"] == "Mistral"
        assert document["cobot"]["attempts"] == status["attempts"]
