"""A paid completion of which no answer can be made is refunded, and never counts as released."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.domain.errors import CompletionGone
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.flows.answer.deliveries import Deliveries
from cobot_meter.flows.sale.deliver_completion import DeliverCompletion
from cobot_meter.http_api.views import is_readable
from tests.flows.rigs.stories import ask, hear, pay
from tests.flows.sale.test_crash_points import staged


@pytest.mark.parametrize(("body", "readable"), [(b"[]", False), (None, True)])
async def test_what_cannot_be_written_is_not_released(
    tmp_path: Path,
    body: bytes | None,
    readable: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Looked at before the release is committed: 410 and the price as credit, or the answer."""
    async with staged(tmp_path / "node") as stage:
        for step in (ask, pay(), hear):
            await step(stage)
        process = stage.process
        deliveries = DeliverCompletion(
            ledger=process.ledger,
            vault=process.vault_on(
                readable=lambda stored: is_readable(stored if body is None else body)
            ),
            release_gate=process.release_gate,
            deliveries=Deliveries(),
        )
        if readable:
            released, _ = await deliveries.deliver(stage.escrow)
            assert released.progress is Progress.RELEASED
            return
        with pytest.raises(CompletionGone):
            await deliveries.deliver(stage.escrow)
        assert stage.escrow.progress is Progress.REFUNDED
        standing = await process.books.standing(stage.escrow.caller_id)
        assert standing.available_msat >= stage.escrow.price_msat
        assert process.release_gate.closed_by is None


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        (b'{"choices":[]}', True),
        (b'{"choices":[{"message":{"content":"\\ud83d"}}],"n":1e400,"m":NaN}', True),
        (b'{"n":' + b"9" * 5_000 + b"}", False),
        (b"[" * 600 + b"]" * 600, False),
        (b'{"a":' + b"[" * 600 + b"]" * 600 + b"}", False),
        (b"{", False),
        (b"7", False),
        (b"", False),
    ],
)
def test_what_can_be_written(body: bytes, *, readable: bool) -> None:
    """An object that can be read and written again, mended where it must be."""
    assert is_readable(body) is readable
