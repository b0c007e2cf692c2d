"""One line for each thing that an operator asks about later: a sale, a lapse, a failure, a top-up.

Told by the observer of transitions, when they are durable. Names of escrows, callers and runs are
in it; prompts, answers, preimages and tokens are never handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from structlog.typing import FilteringBoundLogger

from cobot_meter import __version__
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.invoices import NodeIdentity
from cobot_meter.domain.money import usd_text
from cobot_meter.domain.run.events import FellBack
from cobot_meter.domain.topup.events import TopupCredited
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.event_facts import event_kind
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.wiring.opening.databases import BOOKS_FILE
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.settings import Settings

Fields = Mapping[str, str | int | None]


class EventLog:
    """Most transitions say nothing here: a sale of ten is one line."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        """`logger` takes fields by name."""
        self._logger = logger
        self._tell: dict[str, Callable[[Transition], None]] = {
            "completion_delivered": self._sold,
            "invoice_canceled": self._lapsed,
            "claim_lapsed": self._lapsed,
            "upstream_failed": self._failed,
            "outcome_unknown": self._failed,
            event_kind(FellBack): self._fell_back,
            "cost_given_up": self._failed,
            "completion_lost": self._failed,
            "invoice_refused": self._failed,
            event_kind(TopupCredited): self._topped_up,
            "caller_changed": self._operated,
            "node_adopted": self._operated,
            "upstream_baseline": self._operated,
        }

    def observe(self, transition: Transition) -> None:
        """Say what is worth a line."""
        tell = self._tell.get(transition.kind)
        if tell is not None:
            tell(transition)

    def _sold(self, transition: Transition) -> None:
        if transition.escrow is not None:
            self._logger.info("sold", **sale_fields(transition.escrow))

    def _lapsed(self, transition: Transition) -> None:
        escrow = transition.escrow
        if escrow is not None and escrow.state is EscrowState.EXPIRED:
            self._logger.info("lapsed", **sale_fields(escrow))

    def _failed(self, transition: Transition) -> None:
        escrow = transition.escrow
        if escrow is not None:
            code = escrow.failure.code if escrow.failure else transition.kind
            self._logger.warning("failed", code=code, **sale_fields(escrow))

    def _fell_back(self, transition: Transition) -> None:
        escrow = transition.escrow
        if escrow is None or escrow.run.instead is None:
            return
        failed = escrow.seen_from(transition.runs[0].run.run_id)
        self._logger.warning(
            "fell back",
            code=escrow.run.instead.because,
            failed_model=failed.model,
            **sale_fields(escrow),
        )

    def _topped_up(self, transition: Transition) -> None:
        if transition.topup is not None:
            self._logger.info("topped up", **_topup_fields(transition.topup))

    def _operated(self, transition: Transition) -> None:
        whose = {"caller_id": transition.caller_id} if transition.caller_id else {}
        self._logger.info(transition.kind.replace("_", " "), **whose)


def start_fields(settings: Settings, node: NodeIdentity, face: Address) -> Fields:
    """Who this is, and what it works with."""
    return {
        "version": __version__,
        "listen": f"{face.host}:{face.port}",
        "public_url": settings.face.public_url,
        "books": settings.database.shown or str(settings.data_dir / BOOKS_FILE),
        "node": node.pubkey,
        "network": node.network,
        "upstream": settings.upstream.base_url,
        "accepted_risks": ",".join(sorted(settings.accepted_risks)),
    }


def sale_fields(escrow: Escrow) -> Fields:
    """Who bought which run, and what it cost and brought; whole numbers, USD as exact text."""
    return {
        "escrow_id": escrow.escrow_id,
        "caller_id": escrow.caller_id,
        "generation_id": escrow.run.generation_id,
        "model": escrow.model,
        "price_msat": escrow.price_msat,
        "paid_msat": escrow.paid_msat,
        "credit_used_msat": escrow.credit_used_msat,
        "cost_usd": usd_text(escrow.cost_pusd),
    }


def _topup_fields(topup: Topup) -> Fields:
    return {
        "topup_id": topup.topup_id,
        "caller_id": topup.caller_id,
        "paid_msat": topup.paid_msat,
    }
