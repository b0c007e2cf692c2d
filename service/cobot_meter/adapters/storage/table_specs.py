"""What is stored of a sale, a run, a top-up, an API key and an adopted node: one line a column.

A new column is a line here, a field in the domain's value and a migration. A new table of values is
a spec here (with its place in VERSIONED_SPECS and `rows_of`), its indexes in `tables.py` and a
migration. Must not know: SQL.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cobot_meter.adapters.storage.row_spec import (
    Apart,
    Derived,
    Joined,
    Kind,
    RowSpec,
    choice,
    flag,
    key,
    maybe_number,
    maybe_part,
    maybe_words,
    number,
    part,
    words,
)
from cobot_meter.domain.api_key.record import ApiKey, ApiKeyState, KeyLimits
from cobot_meter.domain.escrow.record import (
    AskKey,
    Escrow,
    Fallback,
    IssuedInvoice,
    Quote,
)
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.escrow.tasks import TaskClosing, TaskTerms
from cobot_meter.domain.escrow.timers import due_at_ms
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.run.record import (
    AskedInstead,
    Cost,
    CostAccount,
    CostStanding,
    Failure,
    Run,
    Summary,
    due_of_run,
)
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.transition import Transition

# A run that fails and the sale that ends with it keep the same.
FAILURE = maybe_part(
    "failure",
    Failure,
    words("failure_code", "code"),
    words("failure_message", "message"),
    number("failure_status", "status"),
)
PRICES = part(
    "prices",
    ModelPrice,
    number("prompt_pusd"),
    number("completion_pusd"),
    number("request_pusd"),
    number("cache_write_pusd"),
    number("reasoning_pusd"),
)
RUN_SPEC = RowSpec(
    "run",
    Run,
    fixed=(
        key("run_id"),
        key("escrow_id"),
        words("upstream"),
        number("opened_at_ms"),
        maybe_part(
            "instead",
            AskedInstead,
            words("model"),
            words("because"),
            maybe_number("most_pusd"),
            maybe_words("route"),
            PRICES,
        ),
    ),
    moving=(
        # Not `state`: conditions of indexes name the columns of both tables without their table.
        choice("run_state", RunState, "state"),
        number("changed_at_ms"),
        number("version"),
        maybe_words("requested_by"),
        maybe_words("generation_id"),
        choice("cost_account", CostAccount),
        number("lookups"),
        maybe_number("lookup_at_ms"),
        number("budget_hold"),
        number("budget_held_pusd"),
        flag("parked"),
        maybe_part(
            "summary",
            Summary,
            number("completed_at_ms"),
            words("inline_cost"),
            words("finish_reason"),
            number("prompt_tokens"),
            number("completion_tokens"),
        ),
        maybe_part(
            "cost",
            Cost,
            number("cost_pusd"),
            words("cost_text", "text"),
            choice("cost_standing", CostStanding, "standing"),
            # Runs from before revision 0005 have NULL in these.
            words("cost_provider", "provider", unsaid=""),
            words("cost_model", "model", unsaid=""),
            words("cost_sha256", "record_sha256", unsaid=""),
        ),
        FAILURE,
    ),
    derived=(
        Derived(
            column="due_at_ms",
            kind=Kind.NUMBER,
            nullable=True,
            says=due_of_run,
            looks_at=frozenset({"state", "parked", "lookup_at_ms", "budget_held_pusd"}),
        ),
    ),
)

ESCROW_SPEC = RowSpec(
    "escrow",
    Escrow,
    fixed=(
        key("escrow_id"),
        words("caller_id"),
        number("opened_at_ms"),
        choice("billing_mode", Mode, "mode"),
        maybe_words("key_id"),
        words("budgets"),
        words("privacy"),
        flag("stream"),
        maybe_words("route"),
        part(
            "ask",
            AskKey,
            words("request_key"),
            words("address_key"),
            words("address"),
            words("request_sha256"),
            maybe_words("idempotency_key"),
            flag("nameless"),
        ),
        part(
            "quote",
            Quote,
            words("model"),
            number("max_tokens"),
            number("ceiling_pusd"),
            number("ceiling_msat"),
            number("credit_reserved_msat"),
            words("day"),
            flag("newcomer"),
            maybe_number("least_pusd"),
            maybe_number("first_tokens"),
            number("overrun_pusd"),
            part(
                "rate",
                ExchangeRate,
                number("rate_usd_micro_per_btc", "usd_micro_per_btc"),
                words("rate_source", "source"),
                number("rate_at_ms", "fetched_at_ms"),
            ),
            part(
                "terms",
                PriceTerms,
                number("credit_fee_bps"),
                number("markup_bps"),
                number("safety_bps"),
            ),
            PRICES,
        ),
        maybe_part(
            "fallback",
            Fallback,
            words("asked_model"),
            words("fallback_reason", "reason"),
            words("continues"),
        ),
        maybe_part(
            "task",
            TaskTerms,
            words("seller_id"),
            words("seller_key_id"),
            number("max_fee_msat"),
            number("ends_at_ms"),
            words("title"),
        ),
    ),
    moving=(
        choice("state", EscrowState),
        number("changed_at_ms"),
        number("version"),
        key("run_id"),
        number("priced_pusd"),
        number("price_msat"),
        number("credit_used_msat"),
        number("attempt"),
        maybe_words("payment_hash"),
        number("paid_msat"),
        number("settle_index"),
        maybe_number("settled_at_ms"),
        maybe_number("keep_until_ms"),
        maybe_words("continued_as"),
        maybe_words("quarantine"),
        number("extensions"),
        number("extended_msat"),
        maybe_words("answer_sha256"),
        maybe_part("closing", TaskClosing, number("fee_msat"), number("provisional_runs")),
        maybe_part(
            "invoice",
            IssuedInvoice,
            words("payment_request"),
            number("invoice_msat", "amount_msat"),
            number("expires_at_s"),
        ),
        FAILURE,
    ),
    derived=(
        Derived(
            column="occupies_ask",
            kind=Kind.FLAG,
            says=lambda escrow, _: int(escrow.occupies_ask),
            looks_at=frozenset(
                {"state", "invoice", "settled_at_ms", "price_msat", "credit_used_msat"}
            ),
            falls=True,
        ),
        Derived(
            column="due_at_ms",
            kind=Kind.NUMBER,
            nullable=True,
            says=lambda escrow, _: due_at_ms(escrow),
            looks_at=frozenset({"state", "quarantine", "invoice", "keep_until_ms"}),
        ),
    ),
    joined=(
        # The run that the sale lives by, by both keys: either row finds the other by its own.
        Joined(
            attribute="run",
            spec=RUN_SPEC,
            on=(("run_id", "run_id"), ("escrow_id", "escrow_id")),
        ),
        Apart(attribute="others", value=()),
    ),
)

TOPUP_SPEC = RowSpec(
    "topup",
    Topup,
    fixed=(
        key("topup_id"),
        words("caller_id"),
        words("address_key"),
        number("amount_msat"),
        number("opened_at_ms"),
    ),
    moving=(
        choice("state", TopupState),
        number("version"),
        number("attempt"),
        words("payment_hash"),
        words("payment_request"),
        number("expires_at_s"),
        number("paid_msat"),
        number("settle_index"),
        maybe_words("quarantine"),
    ),
)

API_KEY_SPEC = RowSpec(
    "api_key",
    ApiKey,
    fixed=(
        key("key_id"),
        words("caller_id"),
        number("made_at_ms"),
    ),
    moving=(
        choice("state", ApiKeyState),
        number("version"),
        words("secret_sha256"),
        words("hint"),
        number("rotations"),
        words("name"),
        part(
            "limits",
            KeyLimits,
            maybe_number("limit_msat"),
            maybe_number("day_limit_msat"),
            words("models"),
            choice("least_privacy", PrivacyTier, "privacy"),
        ),
    ),
)

NODE_SPEC = RowSpec(
    "node_adoption",
    AdoptedNode,
    fixed=(number("number"), key("pubkey"), words("network"), words("alias")),
)


# Every table whose rows have versions: what a transition's rows may lie in.
VERSIONED_SPECS: tuple[RowSpec[Any], ...] = (ESCROW_SPEC, RUN_SPEC, TOPUP_SPEC, API_KEY_SPEC)


class WrittenRow(NamedTuple):
    """A row that a transition opens or moves on; `changed` None: any of its fields may differ."""

    spec: RowSpec[Any]
    value: Escrow | Run | Topup | ApiKey
    changed: tuple[str, ...] | None = None


def rows_of(transition: Transition) -> tuple[WrittenRow, ...]:
    """Every row with a version that the transition writes, in the order of writing."""
    rows: tuple[WrittenRow, ...] = ()
    if transition.escrow is not None:
        if transition.opens or transition.changed:
            rows += (WrittenRow(ESCROW_SPEC, transition.escrow, transition.changed),)
        rows += tuple(WrittenRow(RUN_SPEC, run, changed) for run, changed in transition.runs)
    if transition.topup is not None:
        rows += (WrittenRow(TOPUP_SPEC, transition.topup, transition.topup_changed),)
    if transition.api_key is not None:
        rows += (WrittenRow(API_KEY_SPEC, transition.api_key, transition.api_key_changed),)
    return rows
