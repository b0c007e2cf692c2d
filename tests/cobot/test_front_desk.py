"""A stranger's message at the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.cobot.agent import Peer
from cobot_meter.cobot.front_desk import REPEAT_S
from cobot_meter.cobot.settings import REFUSAL
from cobot_pay.peers.blocks import Bill, Delivered, Notice, with_block
from tests.cobot.shop import NOW_S, Shop, ask

DAY_S = 86_400


async def test_a_message_is_stored_before_anything_else(tmp_path: Path) -> None:
    """A restart finds it, with the words that a model will be shown."""
    shop = Shop(tmp_path)
    await shop.write(ask("[FileDrop from alice]\n\nAbout bridges."))
    (found,) = shop.again().shelf.open()
    assert found.peer.name == "filedrop:alice"
    assert found.messages[-1]["content"] == "About bridges."
    assert shop.tasks.tasks == {}


async def test_the_same_message_is_taken_once(tmp_path: Path) -> None:
    """Channels bring messages again after a restart."""
    shop = Shop(tmp_path)
    await shop.write("About bridges.")
    again = shop.again()
    await again.write("About bridges.")
    assert (len(shop.taken), len(again.taken)) == (1, 0)
    assert again.texts == []


async def test_a_price_list_costs_no_model(tmp_path: Path) -> None:
    """Whoever asks for the prices is told them."""
    shop = Shop(tmp_path, settings={"skills": {"Translate": 50}})
    await shop.write("[FileDrop from alice]\n\nPrices?")
    assert "translate: 50 sat" in shop.texts[0]
    assert shop.taken == []


async def test_a_skill_has_its_own_fee(tmp_path: Path) -> None:
    """The first word names it."""
    shop = Shop(tmp_path, settings={"skills": {"translate": 50}})
    await shop.write("Translate: good morning")
    assert shop.taken[0].fee_msat == 50_000


async def test_the_ceiling_leaves_room_for_the_fee_in_what_is_allowed(tmp_path: Path) -> None:
    """A bill can never be more than the stranger's program said it pays."""
    shop = Shop(tmp_path)
    await shop.write(ask("About bridges.", max_sat=50))
    assert shop.taken[0].ceiling_msat == 40_000


async def test_too_little_is_refused_with_the_prices(tmp_path: Path) -> None:
    """Nothing is begun that could not be paid."""
    shop = Shop(tmp_path)
    await shop.write(ask("About bridges.", max_sat=10, ref="r9"))
    assert shop.block() == Notice(ref="r9", reason="too_little", over=True)
    assert shop.taken == []


async def test_over_the_cap_of_unpaid_work_it_refuses_politely(tmp_path: Path) -> None:
    """No model is called; another day it works again."""
    shop = Shop(tmp_path, settings={"unpaid_day_sat": 300})
    await shop.write(ask("About bridges."), who="alice")
    await shop.write(ask("About tunnels."), who="bob")
    assert REFUSAL in shop.texts[0]
    assert shop.block() == Notice(ref="r1", reason="cap", over=True)
    assert len(shop.taken) == 1
    await shop.run_until_letters(2)
    shop.tasks.only.state = "expired"
    await shop.run(lambda: not shop.shelf.open())
    shop.now_s = NOW_S + DAY_S
    await shop.write(ask("About tunnels."), who="bob", number=2)
    assert len(shop.taken) == 2


async def test_no_more_tasks_at_once_than_the_owner_says(tmp_path: Path) -> None:
    """The rest is refused, not queued without end."""
    shop = Shop(tmp_path, settings={"at_once": 1})
    await shop.write("About bridges.", who="alice")
    await shop.write("About tunnels.", who="bob")
    assert REFUSAL in shop.texts[0]


async def test_a_second_task_waits_until_the_first_is_paid(tmp_path: Path) -> None:
    """A person hears of the open bill once; two agents do not go on thanking each other."""
    shop = Shop(tmp_path)
    await shop.write("About bridges.")
    await shop.run_until_letters(1)
    for number in (2, 3, 4):
        await shop.write("Thank you for your message!", number=number)
    assert len(shop.texts) == 2
    assert "waits to be paid" in shop.texts[1]
    assert shop.block() == shop.block(0)
    assert isinstance(shop.block(), Bill)
    assert len(shop.taken) == 1


async def test_a_program_hears_each_time_that_its_first_task_is_open(tmp_path: Path) -> None:
    """Under its own reference, so that it does not wait for what will not come."""
    shop = Shop(tmp_path)
    await shop.write(ask("About bridges.", ref="r1"))
    await shop.write(ask("About tunnels.", ref="r2"), number=2)
    assert shop.block() == Notice(ref="r2", reason="busy", over=True)


async def test_a_refusal_is_said_once_in_a_while(tmp_path: Path) -> None:
    """An agent that answers every message does not make this one answer every message."""
    shop = Shop(tmp_path, settings={"unpaid_day_sat": 1})
    for number in range(3):
        await shop.write("About bridges.", number=number)
    assert len(shop.texts) == 1
    shop.now_s += REPEAT_S
    await shop.write("About bridges.", number=4)
    assert len(shop.texts) == 2


@pytest.mark.parametrize("name", ["../../root", "/etc", "a/b", "a\\b", "..", "", "a b", "x" * 300])
async def test_a_name_that_is_a_path_is_answered_nowhere(tmp_path: Path, name: str) -> None:
    """FileDrop writes an answer into the folder of that name."""
    shop = Shop(tmp_path)
    odd = Peer(channel_type="filedrop", channel_id="inbox", sender_id=name, sender_name=name)
    await shop.desk.receive("About bridges.", odd, "m1")
    assert (shop.texts, shop.taken) == ([], [])


async def test_a_message_without_an_end_is_refused(tmp_path: Path) -> None:
    """Before anything is stored of it."""
    shop = Shop(tmp_path)
    await shop.write("a" * 60_000)
    assert "too long" in shop.texts[0]
    assert shop.taken == []


async def test_an_answer_from_another_seller_is_no_order(tmp_path: Path) -> None:
    """What a buyer's program should read does not make this agent work."""
    shop = Shop(tmp_path)
    await shop.write(with_block("Here.", Delivered(ref="r1", task="esc_1")))
    assert (shop.texts, shop.taken) == ([], [])
