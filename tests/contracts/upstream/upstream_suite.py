"""What every upstream must do: one suite for the fake, the simulator and the real one.

A test module gives the fixture `bench` and inherits `AnsweringUpstream` (any upstream at all),
`ScriptedUpstream` (one that can be told how the next run ends) or `Upstreams` (one that charges
for failures too, and asks for a key). The bench keeps the *other side's* book,
so that what the port says about charges is compared with what was really charged.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field, replace

import orjson
import pytest

from cobot_meter.domain.errors import (
    CostNotYetKnown,
    DependencyFault,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import UpstreamCompletion
from cobot_meter.domain.upstream.deltas import Delta
from cobot_meter.ports.upstream import AnswerFeed, AnswerPiece
from tests.contracts.upstream.answer_feeds import TEXTS, joined, whole
from tests.contracts.upstream.upstream_bench import (
    Ending,
    Heard,
    ScriptedBench,
    UpstreamBench,
    ask,
    confirmed,
    feed,
    run,
)

EVENTS_MAX = 200
NOTICES_MAX = 500


@dataclass
class Read:
    """An answer that was read along: its pieces, and the summary or what came in its place."""

    pieces: list[AnswerPiece] = field(default_factory=list)
    summary: UpstreamCompletion | None = None
    fault: DependencyFault | None = None

    @property
    def deltas(self) -> list[Delta]:
        """All of them."""
        return [delta for piece in self.pieces for delta in piece.deltas().deltas]


async def read_along(answer: AnswerFeed) -> Read:
    """Read an answer to its end, whichever it is."""
    read = Read()
    async with contextlib.aclosing(answer):
        try:
            async for said in answer:
                assert read.summary is None
                if isinstance(said, UpstreamCompletion):
                    read.summary = said
                else:
                    read.pieces.append(said)
        except DependencyFault as fault:
            read.fault = fault
    return read


class AnsweringUpstream:
    """What holds for any upstream that works."""

    async def test_completion_is_one_chat_completion(self, bench: UpstreamBench) -> None:
        """A run gives one `chat.completion` object with an answer, a finish and an id."""
        completion = await run(bench)
        body = orjson.loads(completion.body)
        assert body["object"] == "chat.completion"
        assert body["id"] == completion.generation_id
        assert body["choices"][0]["message"]["role"] == "assistant"
        assert body["choices"][0]["message"]["content"]
        assert body["choices"][0]["finish_reason"] == completion.finish_reason
        assert body["usage"]["prompt_tokens"] == completion.prompt_tokens > 0
        assert body["usage"]["completion_tokens"] == completion.completion_tokens > 0

    async def test_deltas_join_to_the_whole_answer(self, bench: UpstreamBench) -> None:
        """In order, and with the same end; the summary is the last item and there is one."""
        answer = await read_along(feed(bench))
        assert answer.summary is not None
        assert answer.fault is None
        choice = orjson.loads(answer.summary.body)["choices"][0]
        said = joined(answer.deltas)
        assert {name: said.said.get(name) for name in TEXTS if said.said.get(name)} == {
            name: choice["message"][name] for name in TEXTS if choice["message"].get(name)
        }
        assert said.finish_reason == answer.summary.finish_reason
        assert said.usage is not None
        assert said.usage["prompt_tokens"] == answer.summary.prompt_tokens
        ids = {piece.deltas().head["id"] for piece in answer.pieces}
        assert ids == {answer.summary.generation_id}
        models = {piece.deltas().head["model"] for piece in answer.pieces}
        assert models == {orjson.loads(answer.summary.body)["model"]}

    async def test_who_comes_late_misses_nothing(self, bench: UpstreamBench) -> None:
        """What was said until a piece, with what comes after it, is the same at every piece."""
        told: list[Delta] = []
        async with contextlib.aclosing(feed(bench)) as answer:
            async for said in answer:
                if isinstance(said, UpstreamCompletion):
                    break
                told = [joined((one, *said.deltas().deltas)) for one in told]
                told += said.so_far().deltas
        assert told
        assert all(one == told[0] for one in told)

    async def test_an_answer_that_is_cut_is_whole_as_far_as_it_goes(
        self, bench: UpstreamBench
    ) -> None:
        """Ended at its first words: those, why it ends, its name, and nothing of what it cost."""
        answer = feed(bench)
        said = await anext(answer)
        assert not isinstance(said, UpstreamCompletion)
        told = str(said.so_far().deltas[0].said.get("content", ""))
        cut = said.cut()
        await answer.aclose()
        choice = orjson.loads(cut.body)["choices"][0]
        assert choice["message"]["content"] == told
        assert said.said_bytes >= len(told.encode())
        assert choice["finish_reason"] == cut.finish_reason
        if not said.ended:  # else nobody would cut it
            assert cut.finish_reason == "length"
            assert cut.inline_cost is None
        assert cut.generation_id == said.so_far().head["id"]

    async def test_nothing_is_sent_before_it_is_read(self, bench: UpstreamBench) -> None:
        """An answer that nobody asks for is no run: closed at once, it was heard of nowhere."""
        heard = Heard()
        await feed(bench, heard).aclose()
        assert heard.ids == []

    async def test_generation_is_named_once_at_the_start(self, bench: UpstreamBench) -> None:
        """`on_started` hears the id of the completion, exactly once."""
        heard = Heard()
        completion = await run(bench, heard)
        assert heard.ids == [completion.generation_id]

    async def test_record_says_what_it_cost(self, bench: UpstreamBench) -> None:
        """The look-up finds the same generation, with a cost whose text and integer agree."""
        completion = await run(bench)
        cost = await confirmed(bench, completion.generation_id)
        assert cost.generation_id == completion.generation_id
        assert cost.cost_pusd == pusd_from_text(cost.total_cost) > 0
        assert cost.provider

    async def test_inline_cost_is_close_to_the_record(self, bench: UpstreamBench) -> None:
        """What the answer says and what the record says differ by less than 1e-8 USD."""
        completion = await run(bench)
        cost = await confirmed(bench, completion.generation_id)
        assert completion.inline_cost is not None
        assert abs(pusd_from_text(completion.inline_cost) - cost.cost_pusd) <= 10_000

    async def test_alias_never_changes_bill(self, bench: UpstreamBench) -> None:
        """The cost comes from the generation's record, whatever name the answer's model has."""
        completion = await run(bench)
        cost = await confirmed(bench, completion.generation_id)
        assert orjson.loads(completion.body)["model"]
        assert cost.cost_pusd > 0

    async def test_never_heard_of_is_not_yet_known(self, bench: UpstreamBench) -> None:
        """A generation without a record is *not yet known*, never free."""
        with pytest.raises(CostNotYetKnown):
            await bench.upstream.generation_cost(
                "gen-1700000000-aaaaaaaaaaaaaaaaaaaa", upstream=bench.model.upstream
            )

    async def test_models_are_priced(self, bench: UpstreamBench) -> None:
        """Every model has its own id, a context, and prices that are not negative."""
        models = await bench.upstream.models()
        assert bench.model.model_id in {model.model_id for model in models}
        assert len({model.model_id for model in models}) == len(models)
        for model in models:
            assert model.context_length > 0
            assert model.max_completion_tokens > 0
            assert min(_unit_prices(model.price)) >= 0
            assert orjson.loads(model.document)["id"] == model.model_id

    async def test_who_serves_a_model_is_priced(self, bench: UpstreamBench) -> None:
        """Everybody who serves it has a name and prices that are not negative, if any is said."""
        for endpoint in await bench.upstream.endpoints(bench.model.model_id):
            assert endpoint.tag
            assert endpoint.provider
            assert min(_unit_prices(endpoint.price)) >= 0
            assert isinstance(orjson.loads(endpoint.document), dict)
        assert await bench.upstream.endpoints("acme/fake-1.0") == ()

    async def test_unknown_model_is_refused(self, bench: UpstreamBench) -> None:
        """A model that does not exist is refused before anything runs."""
        heard = Heard()
        unknown = replace(ask(bench.model), model="acme/fake-1.0", max_tokens=16)
        with pytest.raises(UpstreamRefused) as refused:
            await whole(
                bench.upstream.complete(unknown, price_cap=bench.model.price, on_started=heard)
            )
        assert refused.value.status == 400
        assert heard.ids == []

    async def test_price_over_the_cap_is_refused(self, bench: UpstreamBench) -> None:
        """A unit price above the quoted one stops the run before it costs anything."""
        quoted = ModelPrice(prompt_pusd=1, completion_pusd=1)
        with pytest.raises(UpstreamRefused):
            await whole(
                bench.upstream.complete(ask(bench.model), price_cap=quoted, on_started=Heard())
            )

    async def test_ping_returns(self, bench: UpstreamBench) -> None:
        """A working upstream answers a ping, and says what the key has spent."""
        await bench.upstream.ping()
        assert await bench.upstream.usage_pusd() >= 0

    async def test_the_account_says_what_is_left(self, bench: UpstreamBench) -> None:
        """Usage agrees with `usage_pusd`; what is not limited or not permitted is None."""
        holders = bench.upstream.account_holders()
        assert len({holder.name for holder in holders}) == len(holders)
        for holder in holders:
            account = await holder.account()
            assert account.usage_pusd <= await bench.upstream.usage_pusd()
            assert account.left_pusd is None or account.left_pusd >= 0

    async def test_models_bear_the_name_of_an_upstream(self, bench: UpstreamBench) -> None:
        """Whoever keeps an account is named by its models, so that a run can be counted there."""
        names = {model.upstream for model in await bench.upstream.models()}
        assert "" not in names
        assert {holder.name for holder in bench.upstream.account_holders()} <= names


class ScriptedUpstream(AnsweringUpstream):
    """What holds for every ending of a run, told by the other side's book."""

    async def test_each_run_is_charged_once(self, bench: ScriptedBench) -> None:
        """Eight runs at once are eight charges, and the records add up to what is gone."""
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(run(bench)) for _ in range(8)]
        ids = [task.result().generation_id for task in runs]
        costs = [await confirmed(bench, generation_id) for generation_id in ids]
        assert len(set(ids)) == 8
        assert await bench.posts() == 8
        assert sum(cost.cost_pusd for cost in costs) == await bench.spent_pusd()

    async def test_usage_is_what_was_spent(self, bench: ScriptedBench) -> None:
        """`usage_pusd` is the sum of all charges, to the pico-dollar."""
        await run(bench)
        await run(bench)
        assert await bench.upstream.usage_pusd() == await bench.spent_pusd() > 0

    async def test_refused_is_not_charged(self, bench: ScriptedBench) -> None:
        """Refused: nothing began, nothing is spent, and the status is told."""
        await bench.next_ends(Ending.REFUSED)
        heard = Heard()
        with pytest.raises(UpstreamRefused) as refused:
            await run(bench, heard)
        assert 400 <= refused.value.status < 600
        assert heard.ids == []
        assert await bench.spent_pusd() == 0

    async def test_unreachable_is_not_charged(self, bench: ScriptedBench) -> None:
        """Nobody there: nothing was sent, nothing is spent, and asking again may help."""
        heard = Heard()
        with pytest.raises(UpstreamUnreachable) as unreachable:
            await whole(
                bench.dead.complete(ask(bench.model), price_cap=bench.model.price, on_started=heard)
            )
        assert unreachable.value.may_retry
        assert heard.ids == []
        assert await bench.spent_pusd() == 0

    async def test_failed_without_a_charge(self, bench: ScriptedBench) -> None:
        """A run that fails without a charge says no cost, and its record says 0."""
        await bench.next_ends(Ending.FAILS_FREE)
        heard = Heard()
        with pytest.raises(UpstreamFailed) as failed:
            await run(bench, heard)
        assert failed.value.inline_cost is None
        assert (await confirmed(bench, heard.ids[0])).cost_pusd == 0
        assert await bench.spent_pusd() == 0

    async def test_lost_answer_can_be_looked_up(self, bench: ScriptedBench) -> None:
        """A cut answer is *unknown*, its id was heard before, and its charge can be found."""
        await bench.next_ends(Ending.LOST_NAMED)
        heard = Heard()
        with pytest.raises(OutcomeUnknown) as unknown:
            await run(bench, heard)
        assert not unknown.value.may_retry
        cost = await confirmed(bench, heard.ids[0])
        assert cost.cost_pusd == await bench.spent_pusd()

    @pytest.mark.parametrize("ending", list(Ending))
    async def test_no_run_is_repeated(self, bench: ScriptedBench, ending: Ending) -> None:
        """However a run ends, it was asked for once: every repeat is a charge."""
        await bench.next_ends(ending)
        with contextlib.suppress(UpstreamRefused, UpstreamFailed, OutcomeUnknown):
            await run(bench)
        assert await bench.posts() == 1

    async def test_a_cut_at_every_event(self, bench: ScriptedBench) -> None:
        """What came until then is the beginning of the answer; whole it is only with its end.

        Without a finish reason or `[DONE]` the outcome is unknown, and its id was heard before.
        """
        texts: list[str] = []
        answer = Read()
        for after in range(EVENTS_MAX):
            await bench.next_is_cut(after=after)
            heard = Heard()
            answer = await read_along(feed(bench, heard))
            texts.append(str(joined(answer.deltas).said.get("content", "")))
            ended = joined(answer.deltas).finish_reason is not None
            assert len(heard.ids) == 1
            assert isinstance(answer.fault, OutcomeUnknown) is not ended
            if answer.summary is not None:
                break
        assert answer.summary is not None
        whole_text = orjson.loads(answer.summary.body)["choices"][0]["message"]["content"]
        assert texts[0] == ""
        assert texts[-1] == whole_text
        assert len(set(texts)) > 2
        for shorter, longer in itertools.pairwise(texts):
            assert longer.startswith(shorter)

    async def test_closed_in_the_middle_it_ends_upstream_too(self, bench: ScriptedBench) -> None:
        """Whoever closes an answer leaves the connection, and the other side notices."""
        await bench.next_dawdles()
        answer = feed(bench)
        first = await anext(answer)
        assert not isinstance(first, UpstreamCompletion)
        assert await bench.left() == 0
        await answer.aclose()
        for _ in range(NOTICES_MAX):
            if await bench.left():
                break
            await asyncio.sleep(0.01)
        assert await bench.left() == 1
        assert await bench.posts() == 1

    async def test_fault_of_on_started_comes_through(self, bench: ScriptedBench) -> None:
        """What `on_started` raises is raised unchanged, whatever kind it is, after one POST."""
        heard = Heard(fault=TimeoutError("the books are busy"))
        with pytest.raises(TimeoutError, match="the books are busy"):
            await run(bench, heard)
        assert await bench.posts() == 1


class Upstreams(ScriptedUpstream):
    """What holds besides for one with a key, that keeps the bill and charges for failures."""

    async def test_failed_with_a_charge(self, bench: ScriptedBench) -> None:
        """A run that fails and was charged says the cost that is in its record."""
        await bench.next_ends(Ending.FAILS_CHARGED)
        heard = Heard()
        with pytest.raises(UpstreamFailed) as failed:
            await run(bench, heard)
        cost = await confirmed(bench, heard.ids[0])
        assert failed.value.inline_cost is not None
        assert abs(pusd_from_text(failed.value.inline_cost) - cost.cost_pusd) <= 10_000
        assert cost.cost_pusd == await bench.spent_pusd() > 0

    async def test_lost_answer_can_be_looked_up(self, bench: ScriptedBench) -> None:
        """The same, and what nobody could read was charged."""
        await super().test_lost_answer_can_be_looked_up(bench)
        assert await bench.spent_pusd() > 0

    async def test_lost_without_a_name_shows_in_usage(self, bench: ScriptedBench) -> None:
        """A POST that got no answer is *unknown*; only the key's usage shows its charge."""
        await bench.next_ends(Ending.LOST_NAMELESS)
        heard = Heard()
        with pytest.raises(OutcomeUnknown):
            await run(bench, heard)
        assert heard.ids == []
        assert await bench.upstream.usage_pusd() == await bench.spent_pusd() > 0

    async def test_generation_404_backoff(self, bench: ScriptedBench) -> None:
        """A record that is not there yet is *not yet known*, and is found later."""
        await bench.next_ends(Ending.LATE_RECORD)
        completion = await run(bench)
        with pytest.raises(CostNotYetKnown):
            await bench.upstream.generation_cost(
                completion.generation_id, upstream=bench.model.upstream
            )
        assert (await confirmed(bench, completion.generation_id)).cost_pusd > 0

    async def test_unreachable_answers_nothing(self, bench: ScriptedBench) -> None:
        """Nobody there: look-ups, models, usage and ping all say so."""
        for question in (
            bench.dead.generation_cost("gen-1", upstream=bench.model.upstream),
            bench.dead.models(),
            bench.dead.usage_pusd(),
            bench.dead.ping(),
        ):
            with pytest.raises(UpstreamUnreachable):
                await question

    async def test_refused_key_is_told(self, bench: ScriptedBench) -> None:
        """A key that is not accepted is a refusal (the operator must act), never *unknown*."""
        for question in (
            bench.locked_out.generation_cost("gen-1", upstream=bench.model.upstream),
            bench.locked_out.usage_pusd(),
            bench.locked_out.ping(),
        ):
            with pytest.raises(UpstreamRefused) as refused:
                await question
            assert refused.value.status == 401


def _unit_prices(price: ModelPrice) -> tuple[int, ...]:
    return (
        price.prompt_pusd,
        price.completion_pusd,
        price.request_pusd,
        price.cache_write_pusd,
        price.reasoning_pusd,
    )
