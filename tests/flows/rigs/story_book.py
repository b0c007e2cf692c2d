"""Every path of an escrow and of a top-up as a row of steps, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.upstream_outcomes import NEVER, Failed, Refused, Unknown, Unreachable
from tests.flows.rigs.stories import (
    COST,
    DAY_S,
    HOUR_S,
    LAPSE_S,
    Step,
    adopt,
    after,
    another_node,
    ask,
    ask_another,
    cannot_be_booked,
    claim,
    compare,
    completes,
    hear,
    hear_late,
    node_loses_a_reply,
    node_loses_every_reply,
    node_refuses,
    offer_topup,
    pay,
    records_appear,
    retried,
    seals_break,
    tick,
    top_up,
    upstream,
    written_off,
)

STORIES: Mapping[str, tuple[Step, ...]] = {
    "bought": (completes(), ask, pay(), hear, claim),
    "bought, the settlement only looked up": (completes(), ask, pay(), claim),
    "overpaid and told twice": (completes(), ask, pay(5_000), hear, hear, claim, hear),
    "a reply of the node lost": (
        completes(),
        node_loses_a_reply,
        ask,
        after(1),
        tick,
        pay(),
        claim,
    ),
    "provisional, then corrected": (
        completes(inline_cost="0.0000600", lookups_before_record=NEVER),
        *(ask, pay(), hear, claim, records_appear, after(HOUR_S), tick),
    ),
    "lapsed": (completes(), ask, after(LAPSE_S), tick),
    "lapsed while provisional": (
        completes(inline_cost="0.0000800", lookups_before_record=NEVER),
        *(ask, after(LAPSE_S), tick, records_appear, after(HOUR_S), tick),
    ),
    "paid late": (completes(), ask, after(LAPSE_S), tick, hear_late, hear_late, claim),
    "paid too late": (completes(), ask, after(LAPSE_S), tick, after(2 * DAY_S), tick, hear_late),
    "covered by credit": (top_up, hear, completes(cost="0.0000100"), ask),
    "partly from credit": (top_up, hear, completes(cost="0.0003900"), ask, pay(), hear, claim),
    "credit comes back": (top_up, hear, completes(cost="0.0003900"), ask, after(LAPSE_S), tick),
    "refused upstream": (upstream(Refused()), ask),
    "unreachable": (upstream(Unreachable()), ask),
    "failed at a cost": (upstream(Failed(cost=COST, says_cost=True)), ask),
    "failed, its cost found": (upstream(Failed(cost=COST)), ask, after(HOUR_S), tick),
    "failed, its cost never found": (
        upstream(Failed(cost=COST, lookups_before_record=NEVER)),
        *(ask, after(DAY_S), tick, compare),
    ),
    "unknown, its cost found": (upstream(Unknown(cost=COST)), ask, after(HOUR_S), tick),
    "two unknown, one above its ceiling": (
        *(upstream(Unknown(cost="0.0003000", announced=False)), ask),
        *(upstream(Unknown(cost="0.0000100", announced=False)), ask_another, compare),
    ),
    "unknown and nameless": (upstream(Unknown(cost=COST, announced=False)), ask, compare),
    "no cost for a day": (
        completes(says_cost=False, lookups_before_record=NEVER),
        *(ask, after(HOUR_S), tick, after(DAY_S), tick, compare),
    ),
    "no invoice": (completes(), node_refuses, ask),
    "a top-up lapses": (offer_topup, after(LAPSE_S), tick),
    "another node, one unpaid": (completes(), ask, another_node, adopt, tick),
    "another node, its invoice lost": (
        *(completes(), node_loses_every_reply, ask, another_node, adopt),
        *(after(1), tick, pay(), claim),
    ),
    "another node, a top-up open": (offer_topup, another_node, adopt, offer_topup),
    "another node, paid on the first, which comes back": (
        *(completes(), ask, pay(), another_node, adopt, another_node, adopt, hear, claim),
    ),
    "parked, let go on and bought": (
        *(completes(), ask, cannot_be_booked, tick, retried, tick, pay(), hear, claim),
    ),
    "parked, paid and written off": (completes(), ask, cannot_be_booked, pay(), written_off, tick),
    "parked, unpaid and written off": (completes(), ask, cannot_be_booked, written_off, tick),
    "parked when paid, and delivered": (
        *(completes(), ask, pay(), hear, cannot_be_booked, claim, written_off, tick),
    ),
    "paid and lost": (completes(), ask, pay(), hear, seals_break, claim),
    "paid and never claimed": (completes(), ask, pay(), hear, after(31 * DAY_S), tick),
}
