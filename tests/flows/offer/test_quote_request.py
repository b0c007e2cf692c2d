"""What can be quoted: only what a model can read and answer, whoever named the model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.domain.body import Body
from cobot_meter.domain.callers import CallerStanding, CapTerms, ExposureTerms
from cobot_meter.domain.errors import CeilingOverCap, DependencyFault, RequestInvalid
from cobot_meter.domain.money import msat_from_pusd
from cobot_meter.domain.pricing.prices import ModelPrice, PriceTerms
from cobot_meter.domain.pricing.quotes import CallerTerms, QuotedTerms
from cobot_meter.domain.upstream.completions import BYTES_PER_TOKEN_MAX, CompletionRequest
from cobot_meter.domain.upstream.endpoints import ProviderChoice
from cobot_meter.flows.offer.catalogue import FRESH_MS, ModelCatalogue
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.steady_clock import SteadyClock
from tests.fakes.clock import FakeClock
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import fake_model
from tests.flows.rigs.chains import LOCAL

PRICE = ModelPrice(prompt_pusd=1, completion_pusd=1)
LARGE = fake_model("acme/large", price=PRICE, context_length=10_000, max_out=10_000)
ABSURD = fake_model("acme/absurd", price=ModelPrice(prompt_pusd=10**18, completion_pusd=1))
SMALL = fake_model("acme/small", price=PRICE, context_length=1_000, max_out=1_000)


async def quoting(
    clock: FakeClock, *own: str, price_terms: PriceTerms | None = None
) -> QuoteRequest:
    """The flow over both models, with the operator's own chain and fees."""
    upstream = FakeUpstream(models=(LARGE, SMALL, ABSURD))
    catalogue = ModelCatalogue(upstream=upstream, clock=clock, allowed=frozenset(), fallbacks=own)
    await catalogue.refresh()
    return QuoteRequest(
        catalogue=catalogue,
        rates=StaticRate(usd_micro_per_btc=94_000_500_000, clock=clock),
        price_terms=price_terms or PriceTerms(),
        exposure=ExposureTerms(cap=CapTerms()),
        steady_clock=SteadyClock(clock=clock),
    )


def asking(model: str, *others: str, max_tokens: int, prompt_bytes: int = 100) -> CompletionRequest:
    """One message of so many bytes."""
    return CompletionRequest(
        body=Body(b"{}"),
        model=model,
        max_tokens=max_tokens,
        prompt_bytes=prompt_bytes,
        message_count=1,
        fallback_models=others,
    )


async def test_a_context_that_is_too_small_is_refused_with_numbers() -> None:
    """What it takes at least, what the model has, and what would fit; one token less does."""
    flow = await quoting(FakeClock())
    prompt_bytes = 4_000 * BYTES_PER_TOKEN_MAX
    with pytest.raises(RequestInvalid, match="max_tokens 6000 would fit") as refused:
        await flow.offer(asking("acme/large", max_tokens=6_001, prompt_bytes=prompt_bytes))
    assert "at least 4000 tokens" in refused.value.message
    assert "10000 that acme/large" in refused.value.message
    fits = await flow.offer(asking("acme/large", max_tokens=6_000, prompt_bytes=prompt_bytes))
    assert fits.max_tokens == 6_000


async def test_a_prompt_that_alone_is_too_long_is_refused() -> None:
    """No max_tokens would help, and so none is advised."""
    flow = await quoting(FakeClock())
    prompt_bytes = 10_000 * BYTES_PER_TOKEN_MAX
    with pytest.raises(RequestInvalid, match="send a shorter prompt"):
        await flow.offer(asking("acme/large", max_tokens=1, prompt_bytes=prompt_bytes))


async def test_every_model_the_caller_names_must_take_the_request() -> None:
    """A link of the chain that could only fail is named before anything is spent."""
    flow = await quoting(FakeClock())
    prompt_bytes = 900 * BYTES_PER_TOKEN_MAX
    asked = asking("acme/large", "acme/small", max_tokens=500, prompt_bytes=prompt_bytes)
    with pytest.raises(RequestInvalid, match="acme/small"):
        await flow.offer(asked)


async def test_the_operators_own_models_are_left_out_where_they_cannot_help() -> None:
    """A caller is never refused for a model that it did not name."""
    flow = await quoting(FakeClock(), "acme/small")
    names = [model.model_id for model in flow.models(asking("acme/large", max_tokens=1_001))]
    assert names == ["acme/large"]
    short = [model.model_id for model in flow.models(asking("acme/large", max_tokens=500))]
    assert short == ["acme/large", "acme/small"]


async def test_an_old_price_list_prices_nothing() -> None:
    """After an hour without a new list every quote is refused as unavailable, and none before."""
    clock = FakeClock()
    flow = await quoting(clock)
    clock.advance(FRESH_MS // 1_000)
    assert flow.models(asking("acme/large", max_tokens=1)) == (LARGE,)
    clock.advance(1)
    with pytest.raises(DependencyFault, match="price list"):
        await flow.offer(asking("acme/large", max_tokens=1))


async def test_an_absurd_price_is_refused_and_not_booked() -> None:
    """A million dollars for a token would be more than the books can hold: said with numbers."""
    flow = await quoting(FakeClock())
    with pytest.raises(CeilingOverCap, match="can be booked"):
        await flow.offer(asking("acme/absurd", max_tokens=1))


async def test_who_wants_certain_providers_is_not_served_by_a_machine_of_ours() -> None:
    """The operator's chain leaves out a local model; the caller's own may name one."""
    upstream = FakeUpstream(models=(LARGE, LOCAL))
    catalogue = ModelCatalogue(
        upstream=upstream,
        clock=FakeClock(),
        allowed=frozenset(),
        fallbacks=(LOCAL.model_id,),
    )
    await catalogue.refresh()
    flow = QuoteRequest(
        catalogue=catalogue,
        rates=StaticRate(usd_micro_per_btc=94_000_500_000, clock=FakeClock()),
        price_terms=PriceTerms(),
        exposure=ExposureTerms(cap=CapTerms()),
        steady_clock=SteadyClock(clock=FakeClock()),
    )
    request = asking("acme/large", max_tokens=10)
    assert flow.models(request) == (LARGE, LOCAL)
    request = replace(request, providers=ProviderChoice(preferred=("acme",)))
    assert flow.models(request) == (LARGE, LOCAL)
    request = replace(request, providers=ProviderChoice(only=("acme",)))
    assert flow.models(request) == (LARGE,)
    request = replace(request, fallback_models=(LOCAL.model_id,))
    assert flow.models(request) == (LARGE, LOCAL)


async def test_a_quote_keeps_the_fees_it_was_made_with() -> None:
    """K4.17: asked after the operator raised the markup, the quoted fees price it, and add up."""
    clock = FakeClock()
    before = await (await quoting(clock)).offer(asking("acme/large", max_tokens=100))
    asked = asking("acme/large", max_tokens=100)
    quoted = QuotedTerms(
        models=tuple((model.model_id, model.price) for model in before.models),
        max_tokens=before.max_tokens,
        ceiling=before.ceiling,
        rate=before.rate,
        terms=before.terms,
        expires_at_ms=clock.now_ms() + 1,
    )
    asked = replace(asked, terms=CallerTerms(quoted=quoted))
    dearer = await quoting(clock, price_terms=PriceTerms(credit_fee_bps=900, markup_bps=9_000))
    standing = CallerStanding(caller_id="c_alice")
    quote = dearer.quote(await dearer.offer(asked), standing)
    assert quote.terms == PriceTerms()
    fees = (quote.terms.credit_fee_bps, quote.terms.markup_bps)
    assert quote.ceiling_msat == msat_from_pusd(quote.ceiling_pusd, quote.rate, *fees)
