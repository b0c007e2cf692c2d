"""Block a caller, or fix its cap, at the operator's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import BooksBusy, RequestInvalid
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange
from cobot_meter.flows.ledger import Ledger

TRIES = 16

Changed = Callable[[CallerChange], CallerChange]


class SetCaller:
    """Blocks a caller, or fixes its cap; each word is an entry of the journal."""

    def __init__(self, *, ledger: Ledger) -> None:
        """Nothing is remembered here."""
        self._ledger = ledger

    async def block(self, caller_id: str, *, blocked: bool) -> CallerStanding:
        """Refuse this caller from now on, or serve it again; its standing afterwards."""
        return await self._say(caller_id, lambda stands: replace(stands, blocked=blocked))

    async def cap(self, caller_id: str, cap_msat: int | None) -> CallerStanding:
        """Fix what this caller may have open and unpaid; None returns to the formula."""
        return await self._say(caller_id, lambda stands: replace(stands, cap_msat=cap_msat))

    async def _say(self, caller_id: str, changed: Changed) -> CallerStanding:
        """Change what stands, and look again whenever somebody else's word came between.

        A word is numbered before what stands is read, so one that is not seen there takes the
        number, and none is lost: neither a block to a cap said at the same moment, nor a cap to it.
        """
        if not caller_id.startswith("c_"):
            message = f"{caller_id[:80]!r} is no caller: their ids begin with c_"
            raise RequestInvalid(message)
        for _ in range(TRIES):
            sequence = await self._ledger.books.caller_changes(caller_id)
            standing = await self._ledger.books.standing(caller_id)
            stands = CallerChange(blocked=standing.blocked, cap_msat=standing.cap_override_msat)
            transition = caller_transition(
                caller_id, changed(stands), sequence=sequence, at_ms=self._ledger.now_ms()
            )
            applied = await self._ledger.apply(transition)
            if not applied.repeated:
                return await self._ledger.books.standing(caller_id)
        message = f"others keep changing {caller_id}; look at it and try again"
        raise BooksBusy(message)
