"""What an operator sees of tasks: who sells them, what they come to, and who has earned what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.wiring.app import Running
from tests.cli.shop import MODEL, CommandLine, command_line_in, selling

FEE_SAT = 7


@dataclass(frozen=True, slots=True)
class Seller:
    """A caller that sells tasks over HTTP to a service that runs."""

    http: httpx.AsyncClient
    key: str

    async def task(self, title: str) -> dict[str, Any]:
        """A task with one run."""
        task = await self._told("/v1/tasks", {"ceiling_sat": 500, "title": title})
        ask = {
            "model": MODEL,
            "messages": [{"role": "user", "content": title}],
            "max_tokens": 60,
        }
        bearer = {"Authorization": f"Bearer {task['key']}"}
        answer = await self.http.post("/v1/chat/completions", json=ask, headers=bearer)
        assert answer.status_code == httpx.codes.OK, answer.text
        return task

    async def closed(self, task: dict[str, Any]) -> dict[str, Any]:
        """The task, answered and billed."""
        body = {"answer": "2 kg", "fee_sat": FEE_SAT}
        return await self._told(f"/v1/tasks/{task['id']}/close", body)

    async def delivered(self, task: dict[str, Any]) -> None:
        """The seller's word that it has handed the answer over."""
        await self._told(f"/v1/tasks/{task['id']}/delivered", {})

    async def _told(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        bearer = {"Authorization": f"Bearer {self.key}"}
        answer = await self.http.post(path, json=body, headers=bearer)
        assert answer.is_success, answer.text
        document: dict[str, Any] = answer.json()
        return document


async def sell(running: Running, commands: CommandLine) -> None:
    """One task is sold and one is open; the commands' own words make the seller."""
    topup = await asyncio.to_thread(commands.read, "topup", "500", "--key", "seller", "--pay")
    callers = await asyncio.to_thread(commands.read, "callers", "list")
    caller_id = callers[0]["caller_id"]
    capped = await asyncio.to_thread(commands.run, "callers", "cap", caller_id, "5000")
    assert capped.exit_code == ExitCode.RIGHT, capped.output
    async with httpx.AsyncClient(base_url=running.face.url, trust_env=False, timeout=30) as http:
        seller = Seller(http, str(topup["key"]["key"]))
        closed = await seller.closed(await seller.task("weigh a parcel"))
        paid = await http.post(
            f"{running.play_wallet_url}/pay", json={"payment_request": closed["invoice"]}
        )
        assert paid.is_success, paid.text
        for _ in range(100):
            state = await http.get(f"/v1/escrows/{closed['id']}")
            if state.json()["state"] == "settled":
                break
            await asyncio.sleep(0.05)
        await seller.delivered(closed)
        await seller.task("weigh another")


@dataclass(frozen=True, slots=True)
class Shop:
    """A closed shop with two tasks: the commands to look at it, and what its metrics had said."""

    commands: CommandLine
    metrics: dict[str, float]


@pytest.fixture(scope="module")
def shop_of_tasks(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One is made for all of these tests: nobody changes it."""
    folder: Path = tmp_path_factory.mktemp("tasks") / "data"
    commands = command_line_in(folder)

    async def run() -> dict[str, float]:
        async with selling(commands) as (running, _):
            await sell(running, commands)
            return {
                sample.labels.get("state", sample.name): sample.value
                for metric in running.service.parts.metrics.registry.collect()
                for sample in metric.samples
                if sample.name.startswith("cobot_meter_task") and "created" not in sample.name
            }

    return Shop(commands, asyncio.run(run()))


def test_tasks_are_listed_with_what_they_come_to(shop_of_tasks: Shop) -> None:
    """Newest first, open ones too; the parts add up to the price, and the fee was earned."""
    read, run = shop_of_tasks.commands.read, shop_of_tasks.commands.run
    opened, sold = read("tasks", "list")
    assert (opened["state"], sold["state"]) == ("open", "released")
    assert (opened["title"], sold["runs"]) == ("weigh another", 1)
    parts = (sold["cost_msat"], sold["service_fee_msat"], sold["seller_fee_msat"])
    assert sum(parts) == sold["price_msat"]
    assert min(parts) > 0
    assert (sold["earned_msat"], opened["earned_msat"]) == (FEE_SAT * 1_000, 0)
    assert [one["task"] for one in read("tasks", "list", "--state", "open")] == [opened["task"]]
    assert read("tasks", "list", "--limit", "1") == [opened]
    assert len(read("tasks", "list", "--seller", sold["seller_id"])) == 2
    assert read("tasks", "list", "--seller", sold["buyer_id"]) == []
    shown = run("tasks", "list", COLUMNS="140").stdout
    assert "weigh a parcel" in shown
    assert f"{sold['price_msat']:,}" in shown


def test_a_state_that_no_task_has_is_refused_with_those_that_are(shop_of_tasks: Shop) -> None:
    """The sentence says which words mean something."""
    refused = shop_of_tasks.commands.run("tasks", "list", "--state", "running")
    assert refused.exit_code == ExitCode.USAGE
    assert "open" in refused.output
    assert "released" in refused.output


def test_a_task_is_shown_whole(shop_of_tasks: Shop) -> None:
    """By its id, its end or its payment hash: seller, runs, price, the node's word, the journal."""
    read, run = shop_of_tasks.commands.read, shop_of_tasks.commands.run
    sold = read("tasks", "list")[1]
    for given in (sold["task"], sold["task"][-8:], sold["payment_hash"]):
        document = read("tasks", "show", given)
        assert (document["node"], document["task"]) == ("SETTLED", sold["task"])
        assert [one["state"] for one in document["attempts"]] == ["costed"]
        assert document["entries"][-1]["kind"] == "completion_delivered"
    shown = run("tasks", "show", sold["task"], COLUMNS="140").stdout
    assert sold["seller_id"] in shown
    assert f"seller's fee {FEE_SAT},000" in shown
    assert MODEL in shown
    by_invoice = run("invoices", "show", sold["task"], COLUMNS="140").stdout
    assert f"seller's fee {FEE_SAT},000" in by_invoice


def test_what_is_no_task_is_said_to_be_none(shop_of_tasks: Shop) -> None:
    """The seller's own top-up is found, and the sentence says which command shows it."""
    commands = shop_of_tasks.commands
    topup = next(one for one in commands.read("invoices", "list") if one["kind"] == "topup")
    refused = commands.run("tasks", "show", topup["topup_id"])
    assert refused.exit_code == ExitCode.FINDING
    assert "cobot-meter invoices show" in refused.output


def test_a_sellers_statement_explains_its_credit(shop_of_tasks: Shop) -> None:
    """`ledger --caller`: a line each time that it moves, and a line for each task with its fee."""
    commands = shop_of_tasks.commands
    opened, sold = commands.read("tasks", "list")
    statement = commands.read("ledger", "--caller", sold["seller_id"])
    assert statement["tasks_sold"] == [opened, sold]
    fees = [
        transfer["amount"]
        for entry in statement["statement"]
        for transfer in entry["transfers"]
        if entry["kind"] == "completion_delivered"
        and transfer["credit"] == f"caller/{sold['seller_id']}/available"
    ]
    assert fees == [sold["earned_msat"]]
    assert statement["caller"]["available_msat"] == 500_000 + sold["earned_msat"]
    shown = commands.run("ledger", "--caller", sold["seller_id"], COLUMNS="140").stdout
    assert "Tasks sold by" in shown
    delivered = next(line for line in shown.splitlines() if "completion delivered" in line)
    assert delivered.split()[-1] == f"+{sold['earned_msat']:,}"
    buyers = commands.run("ledger", "--caller", sold["buyer_id"], COLUMNS="140").stdout
    assert "Tasks sold by" not in buyers


def test_metrics_count_the_states_that_tasks_come_to(shop_of_tasks: Shop) -> None:
    """Each once, however many runs it has; and what sellers have earned."""
    told = shop_of_tasks.metrics
    assert told.pop("cobot_meter_task_fees_msat_total") == FEE_SAT * 1_000
    assert told == {"open": 2, "costed": 1, "invoiced": 1, "settled": 1, "released": 1}
