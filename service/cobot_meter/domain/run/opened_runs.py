"""The runs that a sale opens with: one that is to be asked, one that never is, or a whole panel."""

from __future__ import annotations

from collections.abc import Iterable

from cobot_meter.domain.consensus.panel import OF_A_PANEL, PanelMember
from cobot_meter.domain.run.record import AskedInstead, Run, run_id_of
from cobot_meter.domain.run.states import RunState


def opened_runs(
    escrow_id: str,
    *,
    at_ms: int,
    upstream: str,
    requested_by: str | None,
    held_pusd: int | None,
    panel: Iterable[tuple[PanelMember, int, bool]] = (),
) -> tuple[Run, ...]:
    """The runs of a sale as it opens; it lives by the last of them.

    With `requested_by` they are requested as it opens. `held_pusd` is reserved of the days for the
    one run, None for that of a task, which asks nobody; a `panel` says it of each of its members,
    and which of them are asked as it opens.
    """

    def run(
        number: int, upstream: str, held_pusd: int | None, instead: AskedInstead | None = None
    ) -> Run:
        by = None if number in later else requested_by
        state = RunState.REQUESTED if by else RunState.OPENED
        return Run(
            run_id=run_id_of(escrow_id, number),
            escrow_id=escrow_id,
            upstream=upstream,
            opened_at_ms=at_ms,
            changed_at_ms=at_ms,
            state=RunState.IDLE if held_pusd is None else state,
            requested_by=None if held_pusd is None else by,
            budget_held_pusd=held_pusd or 0,
            instead=instead,
        )

    panel = tuple(panel)
    later = {number for number, (_, _, asked) in enumerate(panel, start=1) if not asked}
    members = tuple(
        run(number, member.upstream, most_held_pusd, _asked(member))
        for number, (member, most_held_pusd, _) in enumerate(panel, start=1)
    )
    return members or (run(1, upstream, held_pusd),)


def _asked(member: PanelMember) -> AskedInstead:
    return AskedInstead(
        model=member.model, because=OF_A_PANEL, prices=member.prices, most_pusd=member.most_pusd
    )
