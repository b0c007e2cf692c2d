"""What the `cobot` of an answer needs that a sale's row has not: earlier runs, privacy, budgets.

One reader for the 402 before payment, the answer, a stream's end and the later fetch, so that they
say the same. Must not know: routes, or how it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.privacy.tiers import Privacy
from cobot_meter.http_api.chat.budget_notices import BudgetNotices, Standing, budget_members
from cobot_meter.http_api.chat.privacy import told_of
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.views import NOTHING_BESIDE


class Receipt(NamedTuple):
    """A sale with all its runs at hand, what is told of its privacy, and its budgets."""

    escrow: Escrow
    privacy: Mapping[str, Any] = NOTHING_BESIDE
    budgets: Standing = ()

    @property
    def beside(self) -> dict[str, Any]:
        """What stands in `cobot` beside what the sale's row says."""
        return {**self.privacy, **budget_members(self.budgets)}


class Receipts:
    """Reads no more than the sale needs: nothing of one that has one run and no budget."""

    def __init__(self, *, parts: FaceParts) -> None:
        """There is one for each face, which counts the notices that it tells."""
        self._books = parts.books
        self._runs_here = parts.catalogue.runs_here
        self.notices = BudgetNotices(parts=parts)

    async def of(
        self,
        escrow: Escrow,
        privacy: Privacy | None = None,
        *,
        reader_id: str,
        counted: bool = True,
    ) -> Receipt:
        """The receipt of a sale at this moment; `privacy` is that of the request at hand, if any.

        `reader_id` is the caller who reads it: how budgets stand is told to their owner alone, and
        not to a stranger who asks the same from the same address. Notices of budgets that are told
        are `counted`.
        """
        own = reader_id == escrow.caller_id
        return Receipt(
            escrow=await self._whole(escrow),
            privacy=told_of(escrow, privacy, runs_here=self._runs_here),
            budgets=await self.notices.of(escrow, told=counted) if own else (),
        )

    async def _whole(self, escrow: Escrow) -> Escrow:
        """With all its runs; those of a task, which may be many, are its seller's to see."""
        if escrow.task is not None or len(escrow.runs) == escrow.runs_made:
            return escrow
        return escrow.with_runs(await self._books.runs_of(escrow.escrow_id))
