"""The example of docs/pricing.md, computed again: it has no figure that the code does not make."""

from __future__ import annotations

import re
from pathlib import Path

from cobot_meter.domain.money import (
    ExchangeRate,
    ceil_div,
    pusd_from_text,
    usd_text,
    with_surcharge,
)
from cobot_meter.domain.pricing.prices import (
    TOKENS_PER_MESSAGE_MAX,
    TOKENS_PER_REQUEST_MAX,
    ModelPrice,
    PriceTerms,
    ceiling_for,
    charged_pusd,
    invoice_amount_msat,
    price_for,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "pricing.md"
ROW = re.compile(r"^\| (.+?) \| ([0-9.]+) \|$", re.MULTILINE)
BYTES, MESSAGES, MAX_TOKENS, COST = 640, 2, 200, "0.0000876"
PRICES = ModelPrice(prompt_pusd=150_000, completion_pusd=600_000)
RATE = ExchangeRate(usd_micro_per_btc=94_000_500_000, source="example", fetched_at_ms=0)
TERMS = PriceTerms()


def figures() -> list[str]:
    """What the code makes of the example, in the order of the table."""
    tokens = BYTES + TOKENS_PER_MESSAGE_MAX * MESSAGES + TOKENS_PER_REQUEST_MAX
    worst_pusd = tokens * PRICES.prompt_pusd + MAX_TOKENS * PRICES.completion_pusd
    ceiling = ceiling_for(
        prices=(PRICES,),
        prompt_bytes=BYTES,
        message_count=MESSAGES,
        max_tokens=MAX_TOKENS,
        rate=RATE,
        terms=TERMS,
    )
    assert ceiling.cost_pusd == ceil_div(*with_surcharge(worst_pusd, TERMS.safety_bps))
    price = price_for(pusd_from_text(COST), ceiling_msat=ceiling.price_msat, rate=RATE, terms=TERMS)
    invoice_msat = invoice_amount_msat(price.price_msat)
    return [
        str(tokens),
        str(worst_pusd),
        str(ceiling.cost_pusd),
        str(ceiling.price_msat),
        COST,
        str(price.cost_msat),
        str(price.credit_fee_msat),
        str(price.markup_msat),
        str(price.price_msat),
        usd_text(charged_pusd(price.price_msat, RATE)),
        str(invoice_msat),
        str(invoice_msat - price.price_msat),
    ]


def test_the_worked_example_is_what_the_code_computes() -> None:
    """Every figure of the table, in order, to the last digit."""
    assert [figure for _, figure in ROW.findall(DOCUMENT.read_text())] == figures()
