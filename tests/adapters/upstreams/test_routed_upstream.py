"""Several upstreams as one: whose a model or a generation is, and what is counted together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.adapters.upstreams.routed_upstream import RoutedUpstream, UpstreamRoute
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import CostNotYetKnown, UpstreamUnreachable
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Model, UpstreamCall
from tests.contracts.upstream.answer_feeds import whole
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import fake_model

PRICE = ModelPrice(prompt_pusd=1_000, completion_pusd=1_000)


def named(name: str, *model_ids: str) -> FakeUpstream:
    """An upstream of this name with these models."""
    models = tuple(replace(model_of(model_id), upstream=name) for model_id in model_ids)
    upstream = FakeUpstream(models=models)
    upstream.name = name
    return upstream


def model_of(model_id: str) -> Model:
    """A model at one price for all."""
    return fake_model(model_id, price=PRICE)


class Three:
    """A gateway for what has no prefix, a second one under `eu/`, a machine in `eu/own/`."""

    def __init__(self) -> None:
        """The machine is listed last, and its prefix begins as the second one's does."""
        self.gateway = named("gateway", "a/model", "eu/stray")
        self.second = named("second", "eu/model", "a/stray")
        self.own = named("own", "eu/own/model")
        self.routed = RoutedUpstream(
            (
                UpstreamRoute(self.gateway),
                UpstreamRoute(self.second, model_prefix="eu/"),
                UpstreamRoute(self.own, model_prefix="eu/own/", vital=False),
            )
        )


async def test_each_model_is_listed_by_whoever_runs_it() -> None:
    """What another's prefix claims is left out: it could be listed, and never be reached."""
    models = await Three().routed.models()
    assert [(model.upstream, model.model_id) for model in models] == [
        ("gateway", "a/model"),
        ("second", "eu/model"),
        ("own", "eu/own/model"),
    ]


@pytest.mark.parametrize(
    ("model_id", "who"), [("a/model", "gateway"), ("eu/model", "second"), ("eu/own/model", "own")]
)
async def test_a_run_goes_to_the_longest_prefix(model_id: str, who: str) -> None:
    """Exactly one of the three runs it, and its endpoints are asked of the same one."""
    three = Three()

    async def heard(_generation_id: str) -> None:
        return

    call = UpstreamCall(body=Body(b"{}"), model=model_id, max_tokens=10, caller_tag="c_one")
    await whole(three.routed.complete(call, price_cap=PRICE, on_started=heard))
    await three.routed.endpoints(model_id)
    for name, upstream in (
        ("gateway", three.gateway),
        ("second", three.second),
        ("own", three.own),
    ):
        assert upstream.posts == (name == who)
        assert upstream.asked_for_endpoints == ([model_id] if name == who else [])


@pytest.mark.parametrize("who", ["gateway", "second", "own"])
async def test_a_cost_is_asked_of_whoever_ran_it(who: str) -> None:
    """By the name that the run bears, whatever the id looks like; the others hear nothing of it."""
    three = Three()
    with pytest.raises(CostNotYetKnown, match="gen-1"):
        await three.routed.generation_cost("gen-1", upstream=who)
    asked = {"gateway": three.gateway, "second": three.second, "own": three.own}
    assert {name: upstream.lookups for name, upstream in asked.items()} == {
        name: int(name == who) for name in asked
    }


async def test_a_cost_of_one_that_is_gone_is_asked_of_nobody() -> None:
    """Another's answer could be of a run that is not ours: it waits until somebody is there."""
    three = Three()
    with pytest.raises(UpstreamUnreachable, match="called gone"):
        await three.routed.generation_cost("gen-1", upstream="gone")
    assert three.gateway.lookups == three.second.lookups == three.own.lookups == 0


async def test_usage_is_the_firsts_and_accounts_are_told_apart() -> None:
    """Each has an account in the books: the figure of one is held against its own."""
    three = Three()
    three.gateway.spent_pusd, three.second.spent_pusd, three.own.spent_pusd = 1, 20, 300
    assert (three.routed.name, await three.routed.usage_pusd()) == ("gateway", 1)
    holders = three.routed.account_holders()
    assert [holder.name for holder in holders] == ["gateway", "second", "own"]
    assert [(await holder.account()).usage_pusd for holder in holders] == [1, 20, 300]


async def test_only_what_is_vital_stops_the_service() -> None:
    """A machine of our own that is away makes nobody unready; a gateway does."""
    three = Three()
    three.own.reachable = False
    await three.routed.ping()
    three.second.reachable = False
    with pytest.raises(UpstreamUnreachable):
        await three.routed.ping()


@pytest.mark.parametrize(
    "second",
    [
        UpstreamRoute(named("second")),
        UpstreamRoute(named("gateway"), model_prefix="eu/"),
    ],
    ids=["no prefix", "same name"],
)
def test_what_cannot_be_told_apart_is_refused(second: UpstreamRoute) -> None:
    """Two routes of one prefix, or two accounts of one name, are a mistake in the wiring."""
    with pytest.raises(ValueError, match="cannot be told apart"):
        RoutedUpstream((UpstreamRoute(named("gateway")), second))


def test_somebody_must_take_what_no_prefix_names() -> None:
    """Else an id from before a change of prefixes would be nobody's."""
    alone = UpstreamRoute(named("second"), model_prefix="eu/")
    with pytest.raises(ValueError, match="must be empty"):
        RoutedUpstream((alone,))
