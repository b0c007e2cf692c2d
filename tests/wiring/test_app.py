"""The order of things when a service starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from cobot_meter.background.node_watcher import InvoiceWatcher
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import BooksBusy, Broken, DependencyFault, UpstreamUnreachable
from cobot_meter.domain.invoices import Invoice, InvoiceState, NodeIdentity
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.lightning_node import LightningNode
from cobot_meter.wiring.app import running_service
from cobot_meter.wiring.loops import refresh_prices
from cobot_meter.wiring.settings.settings import read_settings
from tests.cli.shop import command_line_in
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.http_api.face_rig import MODEL, open_face


async def test_nothing_is_priced_before_the_usage_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run before the baseline would be counted in it, and the books would miss it for ever."""

    async def unreachable() -> int:
        raise UpstreamUnreachable("the usage cannot be asked for")

    async with open_face(tmp_path) as rig:
        catalogue = rig.service.flows.catalogue
        catalogue.refreshed_at_ms = None
        with monkeypatch.context() as patched:
            patched.setattr(rig.upstream, "usage_pusd", unreachable)
            with pytest.raises(UpstreamUnreachable):
                await refresh_prices(rig.service)
        with pytest.raises(DependencyFault):
            catalogue.offered(MODEL)
        await refresh_prices(rig.service)
        assert catalogue.offered(MODEL).model_id == MODEL
        assert (await rig.books.quiet("openrouter")).baseline_pusd == 0


async def test_books_that_cannot_keep_the_word_end_the_service(tmp_path: Path) -> None:
    """It does not go on beside books that nobody could trust after a restart: an error, exit 1."""
    commands = command_line_in(tmp_path / "data")

    async def serve() -> None:
        async with running_service(read_settings(commands.environ)) as running:
            running.service.flows.release_gate.close("the file is malformed", kept=False)
            running.service.flows.release_gate.lost.set()
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as ended:
        await serve()
    lost = ended.value.subgroup(Broken)
    assert lost is not None
    assert "the file is malformed" in str(lost.exceptions)


async def test_a_payment_that_cannot_be_booked_does_not_end_the_stream(tmp_path: Path) -> None:
    """Those behind it are heard; what the books cannot take now is told again."""
    told: list[str] = []

    class Settlements:
        async def told(self, invoice: Invoice) -> None:
            told.append(invoice.payment_hash)
            if invoice.payment_hash == "bad":
                raise TypeError("a bug")
            if invoice.payment_hash == "busy":
                raise BooksBusy("not now")

    class Streams:
        def settled_invoices(self, since_settle_index: int) -> AsyncIterator[Invoice]:
            return self._all(since_settle_index)

        async def _all(self, _since: int) -> AsyncIterator[Invoice]:
            for name in ("bad", "good", "busy", "behind"):
                yield Invoice(
                    payment_hash=name,
                    payment_request="lnbcrt1",
                    amount_msat=1,
                    state=InvoiceState.SETTLED,
                    created_at_s=0,
                    expires_at_s=0,
                )

    faults: list[str] = []
    watcher = InvoiceWatcher(
        books=FakeBooks(),
        node=cast("LightningNode", Streams()),
        ours=OurNode(NodeIdentity(pubkey="02", network="regtest", alias="dev")),
        settle_invoice=cast("SettleInvoice", Settlements()),
        recover=cast("Recover", None),
        supervisor=Supervisor(clock=FakeClock(), report=faults.append),
    )
    with pytest.raises(BooksBusy):
        await watcher.listen()
    assert told == ["bad", "good", "busy"]
    assert faults == ["settlement"]
