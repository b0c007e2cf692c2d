"""What the model of a real cobot reads of its money, and what the service is told beside a call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.cobots.real_cobot import COBOT
from tests.end_to_end.agents.buying_cobots import BuyingCobot
from tests.end_to_end.agents.foreign_agents import needed
from tests.end_to_end.agents.overheard import overheard
from tests.end_to_end.agents.test_cobot_buys import meter
from tests.end_to_end.agents.test_openai_sdk_key import prepaid_key
from tests.end_to_end.live import Live

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _cobot_is_there() -> None:
    needed(COBOT)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Give me a quote.", r"At most \d+ msat \(\$0\.\d+\) for openai/gpt-5-mini and 1024 tok"),
        ("What is the balance?", r"(?s)day: [\d,]+ of 50,000,000 msat left.*credit: \d+ msat"),
        ("Show the receipts.", r"paid [\d,]+ msat http://127\.0\.0\.1:\d+ \S+"),
    ],
    ids=["meter_quote", "meter_balance", "meter_receipts"],
)
async def test_a_tool_tells_the_model(live: Live, tmp_path: Path, line: str, says: str) -> None:
    """The model calls it, hears what it says, and goes on; both calls are paid from the key."""
    key = await prepaid_key(live, 2_000)
    with overheard(live.face) as heard:
        block = meter(live, url=f"{heard.url}/v1", wallet="", api_key=key)
        said = await BuyingCobot(tmp_path / "a", block, without=("wallet",)).hears(line)
    assert said.code == 0, said.log
    (told,) = heard.tool_results()
    assert re.search(says, told), told
    assert len(heard.bought) == 2, said.log


async def test_the_hints_of_its_owner_go_with_every_call(live: Live, tmp_path: Path) -> None:
    """Task, privacy and downgrade are headers, beside the most that the call may cost."""
    with overheard(live.face) as heard:
        block = meter(live, url=f"{heard.url}/v1", task="code", privacy="public", downgrade="allow")
        said = await BuyingCobot(tmp_path / "a", {**block, "max_cost_sat": 40}).hears("Of bridges.")
    assert "bridges" in said.text, said.log
    assert [one.status for one in heard.exchanges] == [402, 200]
    for one in heard.exchanges:
        hints = {name: one.headers.get(f"x-cobot-{name}") for name in ("task", "privacy")}
        assert hints == {"task": "code", "privacy": "public"}
        assert one.headers["x-cobot-downgrade"] == "allow"
        assert one.headers["x-cobot-max-cost"] == "40000msat"


async def test_the_second_model_answers_where_the_first_fails(live: Live, tmp_path: Path) -> None:
    """A list of models reaches the service as its chain, and whoever answers says so."""
    first, second = "openai/gpt-5-mini", "anthropic/claude-haiku-4.5"
    await live.control_upstream("faults", by_model={first: "status_429"})
    with overheard(live.face) as heard:
        block = meter(live, url=f"{heard.url}/v1", model=[first, second])
        said = await BuyingCobot(tmp_path / "a", block).hears("About bridges.")
    assert "bridges" in said.text, said.log
    (bought,) = heard.bought
    assert (bought.asked["model"], bought.asked["models"]) == (first, [second])
    assert "haiku" in bought.said["model"]  # with its date, as the upstream names it
