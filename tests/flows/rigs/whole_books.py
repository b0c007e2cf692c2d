"""One story in any books: every kind of entry, every way to end, and bodies that are sealed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from cobot_meter.domain.api_key import events as of_key
from cobot_meter.domain.api_key.record import ApiKey, KeyLimits, KeyWish, secret_digest
from cobot_meter.domain.budgets.budget import OPERATOR, budget_of, window_of
from cobot_meter.domain.budgets.sheets import BudgetSheet, codes_of, limits_of
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow, Fallback
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.transitions.api_keys import api_key_transition, make_api_key
from cobot_meter.domain.transitions.budgets import budgets_transition
from cobot_meter.domain.transitions.editions import EditionSale, edition_sold
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.node import (
    node_adopted,
    node_swept,
    payment_found,
    payment_set_aside,
)
from cobot_meter.domain.transitions.operator import releases_transition
from cobot_meter.domain.transitions.topups import open_topup
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.domain.transitions.upstream import upstream_key_named, usage_fell, usage_rebased
from cobot_meter.flows.budget.zones import offsets_of
from cobot_meter.ports.books import Books
from tests.domain.samples import (
    FAILURE,
    NODE,
    NOW_MS,
    PUBKEY,
    RETENTION,
    UPSTREAM,
    Shape,
    canceled,
    completion_costed,
    cost_known,
    cost_of,
    fell_back,
    invoice_issued,
    opened,
    opening_of,
    panel_priced,
    payment_hash_of,
    received,
    route_to,
    task_closed,
    task_run_begun,
    used,
)
from tests.fakes.books import FakeBooks
from tests.flows.audit.audit_rig import Next, Teller, ToldNode, fill, node_of, tell_topup

FOUND = "f0" * 32
ASIDE = "a5" * 32


async def tell_everything(books: Books) -> None:
    """The whole story, the same in whichever books."""
    adopted = AdoptedNode(number=1, pubkey=PUBKEY, network="regtest", alias=NODE)
    await books.apply(node_adopted(adopted, at_ms=NOW_MS))
    await books.apply(
        node_swept(number=0, pubkey=PUBKEY, through_s=NOW_MS // 1_000, counted={}, at_ms=NOW_MS)
    )
    teller = await fill(books)
    await _sealed(books)
    await _old_fallback(books)
    await _chain(books, teller)
    await _tasks(books, teller)
    await _panels(books, teller)
    await _topups(books, teller)
    await _quarantines(books, teller)
    await _keys(books, teller)
    await _budgets(books, teller)
    await _editions(books, teller)
    settled = on.InvoiceSettled(
        payment_hash=FOUND, paid_msat=7_000, settle_index=900, node_alias=NODE, node_pubkey=PUBKEY
    )
    await books.apply(payment_found("c_found", settled, at_ms=NOW_MS))
    await books.apply(payment_set_aside(ASIDE, paid_msat=1, reason="not ours", at_ms=NOW_MS))
    await books.apply(upstream_key_named("a key", at_ms=NOW_MS))
    await books.apply(usage_fell(baseline=0, usage_pusd=1, highest_pusd=5_099, at_ms=NOW_MS))
    quiet = await books.quiet(UPSTREAM)
    await books.apply(
        usage_rebased(
            used(1, "another key"),
            number=0,
            booked_pusd=quiet.booked_pusd,
            reason="it was rotated",
            at_ms=NOW_MS,
        )
    )


async def _sealed(books: Books) -> None:
    """One escrow whose answer is sealed and kept, one whose request still is."""
    kept = opened(Shape(escrow_id="esc_kept"))
    await books.apply(opening_of(kept, cap_msat=10**9))
    requested = escrow_transition(
        kept, ran.UpstreamRequested(requested_by="r_one"), at_ms=NOW_MS, retention=RETENTION
    )
    applied = await books.apply(requested)
    assert applied.escrow is not None
    answer = received()
    answer = replace(answer, summary=replace(answer.summary, inline_cost="0.0000000065"))
    answered = escrow_transition(
        applied.escrow,
        answer,
        at_ms=NOW_MS,
        retention=RETENTION,
        bodies=StoredBodies(completion=b"sealed answer", drop_request=True),
    )
    await books.apply(answered)


async def _chain(books: Books, teller: Teller) -> None:
    """Three runs of one sale: the last one answers, and the first one's cost is found later."""
    first = await teller.open("esc_chain")
    requested = ran.UpstreamRequested(requested_by="r_one")
    named = ran.GenerationStarted(generation_id="gen-chain")
    await teller.tell(first, requested, named, fell_back, fell_back, received())
    view = await books.escrow_of_run("esc_chain")
    assert view is not None
    await teller.tell(view, ran.CostLookupMissed(lookup_at_ms=NOW_MS + 9))
    view = await books.escrow_of_run("esc_chain")
    assert view is not None
    await teller.tell(view, ran.CostConfirmed(cost=cost_of(300)))
    third = await books.escrow("esc_chain")
    assert third is not None
    await teller.tell(third, lambda now: cost_known(now, 7_000), invoice_issued)


async def _tasks(books: Books, teller: Teller) -> None:
    """Tasks, each with an answer, a failure and another answer, and every way that they end."""
    lost = on.QuarantineBegun(event="invoice_issued", reason="?")
    ends: dict[str, tuple[Next | on.EscrowEvent, ...]] = {
        "open": (),
        "closed": (task_closed,),
        "given_up": (on.TaskEnded(failure=FAILURE),),
        "bought": (task_closed, invoice_issued, teller.paid(), on.CompletionDelivered()),
        "unpaid": (task_closed, invoice_issued, canceled),
        "late": (task_closed, invoice_issued, canceled, teller.paid(), on.LatePurchase()),
        "unclaimed": (task_closed, invoice_issued, teller.paid(), on.ClaimLapsed(kept_msat=5_500)),
        "written_off": (task_closed, lost, on.WrittenOff(reason="?")),
    }
    answered = on.TaskAnswered(answer_sha256="a5" * 32)
    chosen = partial(task_run_begun, route=route_to("meta/next"))
    for name, last in ends.items():
        shape = Shape(
            escrow_id=f"esc_task_{name}",
            caller_id=f"c_buyer_{name}",
            newcomer=False,
            mode=Mode.TASK,
            max_fee=1_500,
        )
        row = opened(shape)
        await books.apply(opening_of(row, cap_msat=10**9))
        for event in (
            *(chosen, lambda now: completion_costed(now, 3_000)),
            *(task_run_begun, ran.RunOutcomeUnknown(failure=FAILURE)),
            *(task_run_begun, lambda now: completion_costed(now, 2_500)),
            answered,
            *last,
        ):
            found = await books.escrow(row.escrow_id)
            assert found is not None
            every = found.with_runs(await books.runs_of(row.escrow_id))
            await teller.tell(every, event)


async def _panels(books: Books, teller: Teller) -> None:
    """Panels of three, of whom one failed, and the ways that they end."""
    ends: dict[str, tuple[Next | on.EscrowEvent, ...]] = {
        "asked": (),
        "failed": (on.PanelEnded(failure=FAILURE),),
        "bought": (panel_priced, invoice_issued, teller.paid(), on.CompletionDelivered()),
        "unpaid": (panel_priced, invoice_issued, canceled),
        "parked": (
            panel_priced,
            on.QuarantineBegun(event="?", reason="?"),
            on.WrittenOff(reason="?"),
        ),
    }
    for name, last in ends.items():
        row = opened(Shape(escrow_id=f"esc_panel_{name}", panel=(4_000, 2_000, 4_000)))
        await books.apply(opening_of(row, cap_msat=10**9))
        for number, cost in ((1, 3_000), (2, None), (3, 2_500)):
            view = row.seen_from(row.runs[number - 1].run_id)
            if cost is None:
                await teller.tell(view, ran.RunOutcomeUnknown(failure=FAILURE))
            else:
                await teller.tell(view, received(), partial(cost_known, amount=cost))
        for event in (on.PanelAnswered(answer_sha256="a5" * 32), *last):
            found = await books.escrow(row.escrow_id)
            assert found is not None
            every = found.with_runs(await books.runs_of(row.escrow_id))
            await teller.tell(every, event)


async def _old_fallback(books: Books) -> None:
    """As before revision 0014: a sale that failed, and the next attempt in a sale of its own."""
    first = opened(Shape(escrow_id="esc_first"))
    await books.apply(opening_of(first, cap_msat=10**9))
    row = first
    for event in (
        ran.UpstreamRequested(requested_by="r_one"),
        ran.RunFailed(failure=FAILURE, charged=False, continued_as="esc_second"),
    ):
        applied = await books.apply(
            escrow_transition(row, event, at_ms=NOW_MS, retention=RETENTION)
        )
        assert applied.escrow is not None
        row = applied.escrow
    fallback = Fallback(asked_model="acme/asked", reason="upstream_failed", continues="esc_first")
    second = replace(opened(Shape(escrow_id="esc_second")), fallback=fallback)
    await books.apply(opening_of(second, cap_msat=10**9))


async def _topups(books: Books, teller: Teller) -> None:
    """One that lapsed, and one whose first invoice was lost."""
    topup = teller.offered("top_lapsed", 2_000, "c_carol")
    await books.apply(open_topup(topup))
    another = payment_hash_of(opened(Shape(escrow_id="top_lapsed_again")))
    await tell_topup(
        books,
        topup,
        of_topup.TopupInvoiceLost(payment_hash=another),
        of_topup.TopupInvoiced(payment_request="lnbcrt2", expires_at_s=9),
        of_topup.TopupLapsed(),
    )


async def _keys(books: Books, teller: Teller) -> None:
    """Keys that are changed, rotated and revoked, and what one of them has bought and got back."""
    limits = KeyLimits(limit_msat=10**9, day_limit_msat=10**8, models="acme/asked acme/other")
    wish = KeyWish(name="editor", limits=limits)
    key = ApiKey.made("key_live", "sk-cobot-one", caller_id="c_keys", wish=wish, at_ms=NOW_MS)
    await books.apply(make_api_key(key))
    rotated = of_key.ApiKeyRotated(secret_sha256=secret_digest("sk-cobot-two"), hint="sk-cobot-two")
    changed = of_key.ApiKeyChanged(name="agent", limits=replace(limits, models="acme/asked"))
    for event in (changed, rotated):
        applied = await books.apply(api_key_transition(key, event, at_ms=NOW_MS))
        assert applied.api_key is not None
        key = applied.api_key
    ended = ApiKey.made(
        "key_ended", "sk-cobot-three", caller_id="c_keys", wish=KeyWish(), at_ms=NOW_MS
    )
    await books.apply(make_api_key(ended))
    await books.apply(api_key_transition(ended, of_key.ApiKeyRevoked(), at_ms=NOW_MS))
    await teller.topped_up("top_of_keys", 100_000, "c_keys")
    for name, ends in (
        ("sold", (on.CompletionDelivered(),)),
        ("lost", (on.CompletionLost(),)),
        ("unclaimed", (on.ClaimLapsed(kept_msat=600),)),
        ("written_off", (on.QuarantineBegun(event="any", reason="?"), on.WrittenOff(reason="?"))),
        ("waiting", ()),
    ):
        sale = await _on_credit(books, f"esc_key_{name}", key)
        if ends:
            await teller.tell(
                sale,
                ran.UpstreamRequested(requested_by="r_one"),
                received(),
                lambda now: cost_known(now, 600),
                on.CoveredByCredit(),
                *ends,
            )

    grown = await _on_credit(books, "esc_key_grown", key, first_tokens=7, overrun=50)
    await teller.tell(
        grown,
        ran.UpstreamRequested(requested_by="r_one"),
        on.ReservationExtended(number=1, by_msat=60),
        on.ReservationExtended(number=2, by_msat=40),
        lambda now: completion_costed(now, 700),
    )
    await _on_credit(books, "esc_key_growing", key, first_tokens=7, overrun=40)
    for name, events in (
        ("captured", (ran.CostConfirmed(cost=cost_of(650)), on.BodiesShredded())),
        ("captured_late", (ran.CostLookupMissed(lookup_at_ms=None),)),
    ):
        sale = await _on_credit(books, f"esc_key_{name}", key)
        requested = ran.UpstreamRequested(requested_by="r_one")
        fell = (fell_back,) if name == "captured_late" else ()
        await teller.tell(sale, requested, *fell, lambda now: completion_costed(now, 600), *events)


async def _on_credit(
    books: Books,
    escrow_id: str,
    key: ApiKey,
    *,
    first_tokens: int | None = None,
    overrun: int = 0,
) -> Escrow:
    """A sale that the key has opened, and credit covers; with `first_tokens` a part of it."""
    shape = Shape(
        escrow_id=escrow_id,
        credit=900 if first_tokens is None else 500,
        ceiling=900,
        caller_id="c_keys",
        mode=Mode.CREDIT,
        key_id=key.key_id,
        first_tokens=first_tokens,
        overrun=overrun,
    )
    sale = opened(shape)
    await books.apply(opening_of(sale, cap_msat=10**9))
    return sale


async def _editions(books: Books, teller: Teller) -> None:
    """Editions of the benchmarks: by a key that budgets bound, and by a proof."""
    await teller.topped_up("top_of_editions", 5_000, "c_keys")
    windows = tuple(
        window_of(owner, budget_of(line), offsets_of("UTC"), NOW_MS)
        for owner, line in (
            ("c_keys", "caller - week 900000000000 pusd UTC"),
            (OPERATOR, "operator - day 100000000 msat UTC"),
        )
    )
    today = datetime.fromtimestamp(NOW_MS // 1_000, tz=UTC)
    by_key = EditionSale(
        caller_id="c_keys",
        key_id="key_live",
        edition=f"{today:%Y-%m-%d}",
        day=f"{today:%Y-%m-%d}",
        price_msat=1_000,
        budgets=codes_of(windows),
        usd_micro_per_btc=94_000_500_000,
        document_sha256="d" * 64,
    )
    before = f"{today - timedelta(days=1):%Y-%m-%d}"
    by_proof = replace(by_key, key_id=None, edition=before, budgets="", usd_micro_per_btc=None)
    for sale in (by_key, by_proof):
        await books.apply(edition_sold(sale, budgets=limits_of(windows), at_ms=NOW_MS))


async def _budgets(books: Books, teller: Teller) -> None:
    """Words of a caller and of the operator, and sales that count against what they say."""
    windows = tuple(
        window_of(owner, budget_of(line), offsets_of("Europe/Berlin"), NOW_MS)
        for owner, line in (
            ("c_keys", "key key_live day 100000 msat Europe/Berlin"),
            ("c_keys", f"model {opened().model} week 1000000 pusd Europe/Berlin"),
            (OPERATOR, "operator - month 100000000 msat Europe/Berlin"),
        )
    )
    for owner in ("c_keys", OPERATOR):
        own = tuple(one.budget for one in windows if one.owner == owner)
        for number, said in enumerate((own[:1], (), own), start=1):
            sheet = BudgetSheet(owner=owner, number=number, budgets=said)
            await books.apply(budgets_transition(sheet, at_ms=NOW_MS))
    codes = " ".join(one.account.code for one in windows)
    requested = ran.UpstreamRequested(requested_by="r_one")
    for name, ends in (
        ("sold", (lambda now: completion_costed(now, 600),)),
        ("lost", (received(), lambda now: cost_known(now, 600), on.CoveredByCredit())),
        ("failed", (ran.RunFailed(failure=FAILURE, charged=False),)),
    ):
        shape = Shape(
            escrow_id=f"esc_budget_{name}",
            credit=900,
            ceiling=900,
            caller_id="c_keys",
            mode=Mode.CREDIT,
            key_id="key_live",
            budgets=codes,
        )
        sale = opened(shape)
        await books.apply(opening_of(sale, cap_msat=10**9))
        await teller.tell(sale, requested, *ends)
    shape = Shape(escrow_id="esc_budget_unpaid", ceiling=900, caller_id="c_keys", budgets=codes)
    unpaid = opened(shape)
    await books.apply(opening_of(unpaid, cap_msat=10**9))
    await teller.tell(
        unpaid, requested, received(), lambda now: cost_known(now, 600), invoice_issued, canceled
    )
    waiting = opened(replace(shape, escrow_id="esc_budget_waiting"))
    await books.apply(opening_of(waiting, cap_msat=10**9))


async def _quarantines(books: Books, teller: Teller) -> None:
    """What could not be booked, let go on or written off; and releases, stopped and opened."""
    parked = on.QuarantineBegun(event="cost_confirmed", reason="out of range")
    lifted = await teller.invoiced("esc_lifted")
    await teller.tell(lifted, parked, on.QuarantineLifted(), teller.paid())
    unpaid = await teller.invoiced("esc_unpaid_off")
    await teller.tell(unpaid, parked, on.WrittenOff(reason="looked at"))
    paid = await teller.invoiced("esc_paid_off")
    await teller.tell(paid, parked, _written_off)
    topup = teller.offered("top_written_off", 2_000, "c_carol")
    await books.apply(open_topup(topup))
    await tell_topup(
        books,
        topup,
        of_topup.TopupQuarantined(reason="topup_invoiced: out of range"),
        of_topup.TopupLifted(),
        of_topup.TopupQuarantined(reason="topup_invoiced: out of range again"),
        of_topup.TopupWrittenOff(reason="seen"),
    )
    for number, stopped in enumerate((True, False)):
        word = releases_transition(sequence=number, stopped=stopped, reason="seen", at_ms=NOW_MS)
        await books.apply(word)


def _written_off(now: Escrow) -> on.WrittenOff:
    """With what was paid and never booked."""
    return on.WrittenOff(
        reason="looked at",
        payment_hash=str(now.payment_hash),
        paid_msat=9_000,
        settle_index=800,
        node_alias=NODE,
        node_pubkey=PUBKEY,
    )


async def told_node() -> ToldNode:
    """A node that was paid whatever the story says, one payment that is nobody's among it."""
    books = FakeBooks()
    await tell_everything(books)
    node = node_of(books)
    pattern = next(iter(node.invoices.values()))
    for payment_hash, paid_msat, index in ((FOUND, 7_000, 900), (ASIDE, 1, 901)):
        node.invoices[payment_hash] = replace(
            pattern,
            payment_hash=payment_hash,
            amount_msat=paid_msat,
            amount_paid_msat=paid_msat,
            created_at_s=NOW_MS // 1_000,
            settle_index=index,
        )
    return node
