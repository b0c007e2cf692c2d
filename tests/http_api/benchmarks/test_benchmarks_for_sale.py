"""GET /v1/benchmarks: sold by the day, from credit, in one commit that the audit lives again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.domain.benchmarks.record import MS_PER_DAY
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.transitions.editions import EditionSale, edition_as_told, edition_sold
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.flows.audit.operations import EditionsReplay
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer
from cobot_meter.wiring.settings.settings import read_settings
from tests.domain.benchmarks.bench_records import record
from tests.fakes.clock import START_MS
from tests.http_api.face_rig import FaceRig, open_face
from tests.http_api.keys.test_keys import KEYS, bearer
from tests.http_api.routing.test_auto import audit_codes

PATH = "/v1/benchmarks"
PRICE_SAT = 100
EARNED = "revenue/benchmarks"


@contextlib.asynccontextmanager
async def shop(
    folder: Path, *, price: str = str(PRICE_SAT), measured: bool = True
) -> AsyncIterator[FaceRig]:
    """A face that sells what was measured yesterday; today's records are of no edition yet."""
    file = RecordFile(folder)
    if measured:
        file.append(record(0, at_ms=START_MS - MS_PER_DAY))
    file.append(record(1, at_ms=START_MS))
    async with open_face(folder, DATA_DIR=str(folder), BENCHMARKS_PRICE_SAT=price) as rig:
        yield rig


async def credit_msat(rig: FaceRig, token: str) -> int:
    """What the caller has left."""
    return int((await rig.get("/v1/credits", token=token)).json()["cobot"]["available_msat"])


def first_caller(rig: FaceRig) -> str:
    """Who topped up first."""
    return next(iter(rig.books.rows.topups.values())).caller_id


async def earned_msat(rig: FaceRig) -> int:
    """What editions have brought."""
    rows = await rig.parts.reports.balances()
    return sum(one.credits_posted - one.debits_posted for one in rows if one.account == EARNED)


async def test_a_stranger_pays_the_invoice_and_repeats(tmp_path: Path) -> None:
    """402 with an invoice of the price; the proof buys today's edition, and reads it all day."""
    async with shop(tmp_path) as rig:
        asked = await rig.get(PATH)
        assert (asked.status, asked.json()["price_sats"]) == (402, PRICE_SAT)
        assert f"by the UTC day: {PRICE_SAT} sat" in (await rig.get("/llms.txt")).body.decode()
        assert "once for all of that UTC day" in asked.error["message"]
        token = await rig.pay(asked)
        replies = [await rig.get(PATH, token=token) for _ in range(3)]
        assert [one.status for one in replies] == [200] * 3
        assert len({one.body for one in replies}) == 1
        document = replies[0].json()
        assert (document["edition"], document["price_msat"]) == ("2023-11-14", PRICE_SAT * 1_000)
        assert document["benchmarks"]["records"] == 1
        assert await credit_msat(rig, token) == 0
        assert await earned_msat(rig) == PRICE_SAT * 1_000
        (line, *_) = (await rig.get("/v1/ledger", token=token)).json()["data"]
        assert line["kind"] == "benchmarks_sold"
        assert await audit_codes(rig) == []


async def test_a_new_day_is_a_new_edition(tmp_path: Path) -> None:
    """It is bought again, from what is left of the credit; without any, by another invoice."""
    async with shop(tmp_path) as rig:
        token = await rig.credited(150)
        assert (await rig.get(PATH, token=token)).status == 200
        await rig.later(MS_PER_DAY)
        short = await rig.get(PATH, token=token)
        assert (short.status, short.error["code"]) == (402, "insufficient_credits")
        assert short.json()["price_sats"] == 50
        more = await rig.pay(short)
        assert (await rig.get(PATH, token=more)).status == 200
        assert await credit_msat(rig, token) == 0
        assert await earned_msat(rig) == 2 * PRICE_SAT * 1_000
        assert await audit_codes(rig) == []


async def test_a_key_buys_within_its_limits_and_budgets(tmp_path: Path) -> None:
    """Its limit, its caller's budgets and its list of models hold, and what it spends counts."""
    async with shop(tmp_path) as rig:
        key, proof = await rig.key(1_000, limit_sat=150)
        budget = {"scope": "caller", "period": "day", "zone": "Europe/Berlin"}
        usd = {**budget, "amount_usd": "0.01"}
        for budgets, status, code in (
            ([usd], 402, "budget_exhausted"),
            ([{**budget, "amount_sat": 150}], 200, None),
        ):
            await rig.send("PUT", "/v1/budgets", {"budgets": budgets}, token=proof)
            reply = await rig.get(PATH, token=bearer(key))
            assert reply.status == status
            assert code is None or reply.error["code"] == code
            assert code is None or "a larger budget would" in reply.error["message"]
        (standing,) = (await rig.get("/v1/budgets", token=proof)).json()["data"]
        assert standing["spent_msat"] == PRICE_SAT * 1_000
        await rig.later(MS_PER_DAY)
        over = await rig.get(PATH, token=bearer(key))
        assert (over.status, over.error["code"]) == (400, "key_limit_reached")
        assert "max_tokens" not in over.error["message"]
        key_id = (await rig.get(KEYS, token=proof)).json()["data"][0]["id"]
        narrow = {"models": ["some/model"], "limit_sat": None}
        await rig.send("PATCH", f"{KEYS}/{key_id}", narrow, token=proof)
        refused = await rig.get(PATH, token=bearer(key))
        assert (refused.status, refused.error["code"]) == (400, "model_not_allowed")
        assert await earned_msat(rig) == PRICE_SAT * 1_000
        assert await audit_codes(rig) == []


async def test_many_at_once_buy_it_once(tmp_path: Path) -> None:
    """Twenty of one caller: one entry; and a second caller's credit is its own."""
    async with shop(tmp_path) as rig:
        key, _ = await rig.key(120)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(rig.get(PATH, token=bearer(key))) for _ in range(20)]
        assert {one.result().status for one in asked} == {200}
        assert await earned_msat(rig) == PRICE_SAT * 1_000
        assert await audit_codes(rig) == []


async def test_head_and_the_blocked_buy_nothing(tmp_path: Path) -> None:
    """The price is told to a HEAD; whom the operator has blocked is refused."""
    async with shop(tmp_path) as rig:
        key, _ = await rig.key(500)
        assert (await rig.send("HEAD", PATH, token=bearer(key))).status == 200
        await rig.service.flows.operating.set_caller.block(first_caller(rig), blocked=True)
        assert (await rig.get(PATH, token=bearer(key))).status == 403
        assert await earned_msat(rig) == 0


async def test_free_unmeasured_and_not_offered(tmp_path: Path) -> None:
    """A price of 0 asks for nobody's name; an empty edition is not sold; unset is no route."""
    async with shop(tmp_path / "free", price="0") as rig:
        assert (await rig.get(PATH)).json()["benchmarks"]["records"] == 1
        assert PATH in (await rig.get("/openapi.json")).json()["paths"]
    async with shop(tmp_path / "empty", measured=False) as rig:
        reply = await rig.get(PATH)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        assert not rig.books.rows.topups
    async with open_face(tmp_path / "off") as rig:
        assert (await rig.get(PATH)).status == 404
        assert PATH not in (await rig.get("/openapi.json")).json()["paths"]


def test_a_price_that_nobody_could_pay_is_refused() -> None:
    """By a sentence at the start."""
    environ = {"COBOT_METER_BENCHMARKS_PRICE_SAT": "2000000"}
    with pytest.raises(SettingInvalid, match="TOPUP_MOST_SAT"):
        read_settings(environ)


SALES = st.builds(
    EditionSale,
    caller_id=st.just("c_1"),
    key_id=st.sampled_from([None, "key_1"]),
    edition=st.just("2023-11-14"),
    day=st.just("2023-11-14"),
    price_msat=st.integers(min_value=1, max_value=10**12),
    budgets=st.sampled_from(["", "budget/msat/c_1/caller/day/UTC/x/20231114T000000Z"]),
    usd_micro_per_btc=st.none(),
    document_sha256=st.just("0" * 64),
)


def entry_of(sale: EditionSale, **changes: object) -> JournalEntry:
    """The entry of a sale as it is stored, or a changed one."""
    told = edition_sold(sale, at_ms=START_MS)
    values: dict[str, Any] = {
        "sequence": 1,
        "key": told.key,
        "kind": told.kind,
        "subject_id": told.subject_id,
        "caller_id": told.caller_id,
        "at_ms": told.at_ms,
        "facts": dict(told.facts),
        "transfers": tuple(
            JournalTransfer(
                kind=one.kind.value,
                debit=one.debit.code,
                credit=one.credit.code,
                commodity=one.debit.commodity.value,
                amount=one.amount,
                hold_id=None,
                held=0,
            )
            for one in told.transfers
        ),
    }
    return JournalEntry(**{**values, **changes})


@given(SALES)
def test_what_was_sold_is_lived_again(sale: EditionSale) -> None:
    """The entry says the sale; every transfer is the price, balanced in its own commodity."""
    entry = entry_of(sale)
    assert edition_as_told(entry.caller_id, entry.facts) == sale
    assert {one.amount for one in entry.transfers} == {sale.price_msat}
    findings = Findings()
    replay = EditionsReplay(findings)
    replay.told(entry)
    assert not findings.kept
    assert replay.paid_msat == {"c_1": sale.price_msat}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"transfers": ()}, "postings_differ"),
        ({"key": "benchmarks/c_2/2023-11-14"}, "entry_mislabelled"),
        ({"at_ms": START_MS - 2 * MS_PER_DAY}, "entry_mislabelled"),
        ({"caller_id": "c_2"}, "event_impossible"),
        ({"facts": {"edition": "2023-11-14"}}, "event_impossible"),
    ],
)
def test_an_entry_that_was_changed_is_found(changes: dict[str, Any], code: str) -> None:
    """Whatever of it says something else than the rest."""
    sale = EditionSale(
        caller_id="c_1",
        key_id=None,
        edition="2023-11-14",
        day="2023-11-14",
        price_msat=1_000,
        budgets="",
        usd_micro_per_btc=None,
        document_sha256="0" * 64,
    )
    findings = Findings()
    EditionsReplay(findings).told(entry_of(sale, **changes))
    assert [one.code for one in findings.kept] == [code]
