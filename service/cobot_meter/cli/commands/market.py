"""`models` and `pay`: what is on offer at which price, and paying for it with play money."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import run, terminal_of
from cobot_meter.cli.wording import msat, price_per_million
from cobot_meter.domain.money import ExchangeRate, btc_usd_text
from cobot_meter.domain.pricing.prices import PriceTerms, unit_price_msat_text
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.wiring.opening.rates import rate_now
from cobot_meter.wiring.opening.upstreams import open_upstream
from cobot_meter.wiring.settings.settings import Settings
from cobot_pay.dev_wallet import DevWallet

BPS_PER_PERCENT = 100


def pay(
    context: typer.Context,
    payment_request: Annotated[str, typer.Argument(help="The invoice: lnbcrt…")],
    as_json: AsJson = False,
) -> None:
    """Pay an invoice with the development wallet (play money) and print the preimage."""
    terminal = terminal_of(context)
    wallet = DevWallet(terminal.settings().node.listen.url)
    payment = run(wallet.pay(payment_request.strip(), max_fee_msat=0))
    if as_json:
        terminal.write_json(payment)
    else:
        terminal.out.print(f"paid {msat(payment.amount_msat)} msat")
        terminal.out.print(f"preimage {payment.preimage}", soft_wrap=True)


def models(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every model on offer with the upstream's price and ours, for a million tokens."""
    terminal = terminal_of(context)
    settings = terminal.settings()
    offered = run(_offered(settings))
    rate = run(rate_now(settings.rate))
    if as_json:
        terminal.write_json([_document(model, rate, settings.prices) for model in offered])
    else:
        terminal.out.print(_table(offered, rate, settings.prices))


async def _offered(settings: Settings) -> list[Model]:
    async with open_upstream(settings) as upstream:
        allowed = settings.upstream.models
        return [one for one in await upstream.models() if not allowed or one.model_id in allowed]


def _table(offered: list[Model], rate: ExchangeRate, terms: PriceTerms) -> RenderableType:
    table = plain_table("For a million tokens in and out")
    table.add_column("model", overflow="fold")
    table.add_column("context", justify="right", no_wrap=True)
    for header in ("upstream in", "out", "ours in, msat", "out, msat"):
        table.add_column(header, justify="right", no_wrap=True)
    for model in offered:
        price = model.price
        table.add_row(
            model.model_id,
            f"{model.context_length:,}",
            price_per_million(price.prompt_pusd),
            price_per_million(price.completion_pusd),
            msat(int(unit_price_msat_text(price.prompt_pusd, rate, terms))),
            msat(int(unit_price_msat_text(price.completion_pusd, rate, terms))),
        )
    return Group(table, Text(_terms_line(rate, terms), style="dim"))


def _terms_line(rate: ExchangeRate, terms: PriceTerms) -> str:
    return (
        f"1 BTC = {btc_usd_text(rate)} USD ({rate.source}); credit fee "
        f"{_percent(terms.credit_fee_bps)}, markup {_percent(terms.markup_bps)}; the invoice is "
        "made from the confirmed cost, not from this list"
    )


def _percent(bps: int) -> str:
    whole, rest = divmod(bps, BPS_PER_PERCENT)
    return f"{whole}.{rest:02d} %" if rest else f"{whole} %"


def _document(model: Model, rate: ExchangeRate, terms: PriceTerms) -> dict[str, object]:
    price = model.price
    return {
        "id": model.model_id,
        "context_length": model.context_length,
        "upstream_pusd": {"prompt": price.prompt_pusd, "completion": price.completion_pusd},
        "ours_msat_per_million": {
            "prompt": int(unit_price_msat_text(price.prompt_pusd, rate, terms)),
            "completion": int(unit_price_msat_text(price.completion_pusd, rate, terms)),
        },
    }
