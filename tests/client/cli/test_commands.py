"""`cobot-pay`, word by word, against a seller of credit and keys."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import httpx
import pytest

from cobot_pay.budget import Purpose
from cobot_pay.cli.main import BAD_WORDS, REFUSED
from tests.client.cli.desk import Desk


async def test_a_question_is_answered_and_its_price_said(desk: Desk) -> None:
    """The answer alone goes to standard output; the second question is paid from what was left."""
    assert await desk.run("ask", desk.url, "hello") == (
        0,
        "You said: hello\n",
        "cobot-pay: paid 20,000 msat\n",
    )
    status, out, err = await desk.run("ask", f"{desk.url}/v1", "again", "--model", "m")
    assert (status, out, err) == (0, "You said: again\n", "cobot-pay: paid from credit\n")
    assert desk.seller.payments == 1


async def test_what_was_paid_is_listed_with_its_proof(desk: Desk) -> None:
    """Time, amount, seller, payment hash and preimage."""
    assert (await desk.run("receipts"))[2] == "cobot-pay: nothing here\n"
    await desk.run("ask", desk.url, "hello")
    _, out, _ = await desk.run("receipts")
    (topup,) = desk.seller.topups.values()
    assert topup.preimage in out
    assert "20,000 msat" in out
    assert desk.url in out


async def test_a_topup_with_a_key_is_all_that_it_takes(desk: Desk) -> None:
    """The key is printed once and kept, and from then on it speaks for us, within its limits."""
    status, out, err = await desk.run(
        "topup", desk.url, "100", "--key", "--name", "laptop", "--limit-sat", "50"
    )
    key = out.strip()
    assert (status, err) == (0, f"cobot-pay: credit at {desk.url}: 100,000 msat\n")
    assert desk.seller.keys[key]["data"]["limit_sat"] == 50
    assert desk.budget.key_at(desk.url) == key
    assert (await desk.run("ask", desk.url, "hello"))[1] == "You said: hello\n"
    _, out, _ = await desk.run("balance", desk.url)
    assert f"credit at {desk.url}: 93,000 msat" in out
    assert "day: 49,900,000 of 50,000,000 msat left (100,000 spent, 0 in flight)" in out


async def test_keys_are_listed_made_changed_and_forgotten(desk: Desk) -> None:
    """The file keeps the newest text of the key that is ours, and none once that is revoked."""
    await desk.run("topup", desk.url, "100")
    _, made, _ = await desk.run("keys", desk.url, "create", "--name", "one")
    _, listed, _ = await desk.run("keys", desk.url)
    key_id = listed.split()[0]
    _, rotated, _ = await desk.run("keys", desk.url, "rotate", key_id)
    assert made != rotated
    assert desk.budget.key_at(desk.url) == rotated.strip()
    assert (await desk.run("keys", desk.url, "revoke", key_id))[0] == 0
    assert "revoked" in (await desk.run("keys", desk.url, "list"))[1]
    assert desk.budget.key_at(desk.url) == ""
    await desk.run("keys", desk.url, "create", "--name", "ours")
    await desk.run("keys", desk.url, "forget")
    assert desk.budget.key_at(desk.url) == ""


async def test_a_key_of_somebody_else_does_not_become_ours(desk: Desk) -> None:
    """Its owner rotates and revokes it here; what we spend with stays."""
    await desk.run("topup", desk.url, "100")
    await desk.run("keys", desk.url, "create", "--name", "given away")
    given_away = (await desk.run("keys", desk.url))[1].split()[0]
    await desk.run("keys", desk.url, "create", "--name", "ours")
    ours = desk.budget.key_at(desk.url)
    for word in ("rotate", "revoke"):
        assert (await desk.run("keys", desk.url, word, given_away))[0] == 0
        assert desk.budget.key_at(desk.url) == ours != ""


async def test_a_payment_of_unknown_outcome_is_settled_by_the_wallet_or_its_owner(
    desk: Desk,
) -> None:
    """The wallet knows of those that it paid and did not pay; of the last its owner must say."""
    paid, unpaid = desk.seller.open(7, "c_1", None), desk.seller.open(7, "c_1", None)
    desk.seller.settled.add(paid)
    lost = "ab" * 32
    for payment_hash in (paid, unpaid, lost):
        budget = desk.budget
        budget.doubt(budget.reserve(9_000, purpose=Purpose(payment_hash=payment_hash)))
    _, out, err = await desk.run("receipts", "--unknown", "--settle")
    assert (out.count("unknown"), lost in out) == (1, True)
    assert f"{paid}: was paid, 7,000 msat" in err
    assert f"{unpaid}: was not paid; 9,000 msat are free again" in err
    assert f"{lost}: still unknown" in err
    assert (await desk.run("receipts", "--unpaid", lost))[0] == 0
    assert (desk.budget.reserved_msat, desk.budget.spent_today_msat) == (0, 7_000)
    status, _, err = await desk.run("receipts", "--unpaid", lost)
    assert (status, "no payment" in err) == (BAD_WORDS, True)


async def test_a_refusal_of_the_seller_is_its_sentence(desk: Desk) -> None:
    """And the status says that it is no fault of the words."""
    status, _, err = await desk.run("keys", desk.url)
    assert (status, "Keys are managed with a proof" in err) == (REFUSED, True)


async def test_a_budget_that_is_spent_says_when_it_resets(desk: Desk) -> None:
    """In one sentence."""
    desk.home.mkdir()
    (desk.home / "config.toml").write_text("[budget]\nday_sat = 19\n")
    status, out, err = await desk.run("ask", desk.url, "hello")
    assert (status, out) == (REFUSED, "")
    assert "the day limit of 19,000 msat" in err
    assert "it resets at" in err


async def test_a_prepaid_key_needs_no_wallet(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there is credit; afterwards a sentence says which wallets there are."""
    await desk.run("topup", desk.url, "10", "--key")
    monkeypatch.delenv("COBOT_PAY_WALLET")
    assert (await desk.run("ask", desk.url, "hello"))[:2] == (0, "You said: hello\n")
    status, _, err = await desk.run("ask", desk.url, "again")
    assert (status, "no wallet is set: put dev:http://" in err) == (REFUSED, True)
    assert desk.budget.reserved_msat == 0


@pytest.mark.parametrize(
    ("words", "config", "wallet", "says"),
    [
        (["ask", "URL", "x"], "", "cash:1", "not 'cash'"),
        (["ask", "URL", "x"], "", "lnd:host:1", "lnd:HOST:PORT?tls=FILE"),
        (["ask", "URL", "x"], "", "nostr+walletconnect://x", "public key"),
        (["ask", "URL/v1/chat", "x"], "", "dev:http://x", "without a path"),
        (["ask", "ftp://x", "x"], "", "dev:http://x", "a seller is named by its address"),
        (["proxy", "URL", "--listen", "0.0.0.0:1"], "", "dev:http://x", "spends your money"),
        (["proxy", "URL", "--listen", "8405"], "", "dev:http://x", "HOST:PORT"),
        (["proxy", "URL", "--topup-below", "5"], "", "dev:http://x", "come together"),
        (["keys", "URL", "revoke"], "", "dev:http://x", "say which key"),
        (["receipts"], "[budget]\nday = 1", "", "not `day`"),
        (["receipts"], "[budget]\nday_sat = -1", "", "0 or more"),
        (["receipts"], "[budget]\nday_sat = true", "", "0 or more"),
        (["receipts"], "budget = 1", "", "[budget] is a table"),
        (["receipts"], "walet = 'x'", "", "not `walet`"),
        (["receipts"], "wallet = 1", "", "`wallet` is a text"),
        (["receipts"], "][", "", "is no TOML"),
    ],
)
async def test_words_that_cannot_be_meant_get_a_sentence(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    config: str,
    wallet: str,
    says: str,
) -> None:
    """Which setting it is, and what to write; nothing is sent."""
    desk.home.mkdir()
    (desk.home / "config.toml").write_text(config)
    monkeypatch.setenv("COBOT_PAY_WALLET", wallet)
    status, _, err = await desk.run(*(word.replace("URL", desk.url) for word in words))
    assert status == BAD_WORDS
    assert says in err
    assert desk.seller.topups == {}


class ProxyProcess:
    """`cobot-pay proxy` as a process of its own."""

    def __init__(self, desk: Desk, *more: str) -> None:
        command = [sys.executable, "-m", "cobot_pay.cli", "--home", str(desk.home), "proxy"]
        self.process = subprocess.Popen(
            [*command, desk.url, "--listen", "127.0.0.1:0", *more],
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        desk.processes.append(self.process)
        self.said: list[str] = []

    async def heard(self, what: str) -> str:
        """The next line in which it says that."""
        assert self.process.stderr is not None
        while True:
            line = await asyncio.to_thread(self.process.stderr.readline)
            assert line, self.said
            self.said.append(line)
            if what in line:
                return line

    async def base(self) -> str:
        """Its base URL, once it listens."""
        line = await self.heard("OPENAI_BASE_URL=")
        return line.partition("OPENAI_BASE_URL=")[2].split()[0]

    async def stop(self, number: signal.Signals) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 20)


async def complete(base: str, text: str) -> str:
    """What a program gets through the proxy."""
    asked = {"model": "m", "messages": [{"role": "user", "content": text}]}
    async with httpx.AsyncClient(timeout=20) as http:
        return (await http.post(f"{base}/chat/completions", json=asked)).text


async def test_the_proxy_is_the_same_caller_after_a_kill(desk: Desk) -> None:
    """Its token was on disk before the answer went out; and it ends well when it is told to."""
    proxy = ProxyProcess(desk)
    assert "You said: one" in await complete(await proxy.base(), "one")
    await proxy.stop(signal.SIGKILL)
    proxy = ProxyProcess(desk)
    assert "You said: two" in await complete(await proxy.base(), "two")
    assert await proxy.stop(signal.SIGTERM) == 0
    assert desk.seller.payments == 1


async def test_a_payment_that_a_kill_interrupts_is_found_out_and_not_made_again(
    desk: Desk,
) -> None:
    """Paid, and killed before anybody was told: the next proxy asks the wallet, and is answered."""
    desk.seller.told = asyncio.Event()
    proxy = ProxyProcess(desk)
    base = await proxy.base()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(complete(base, "one"))
        await desk.seller.paid.wait()
        asking.cancel()
        await proxy.stop(signal.SIGKILL)
    assert desk.budget.reserved_msat == 20_000
    desk.seller.told.set()
    proxy = ProxyProcess(desk)
    await proxy.heard("was paid, 20,000 msat")
    assert "You said: one" in await complete(await proxy.base(), "one")
    assert await proxy.stop(signal.SIGTERM) == 0
    assert (desk.seller.payments, desk.budget.spent_today_msat) == (1, 20_000)


async def test_the_proxy_tops_up_before_it_is_needed(desk: Desk) -> None:
    """It begins with nothing, buys credit at once, and asks are paid from it."""
    proxy = ProxyProcess(desk, "--topup-below", "50", "--topup-by", "100")
    base = await proxy.base()
    await proxy.heard("topped up by 100 sat: 100 sat are there")
    assert "You said: one" in await complete(base, "one")
    assert await proxy.stop(signal.SIGINT) == 0
    assert (desk.seller.payments, desk.budget.spent_today_msat) == (1, 100_000)


async def test_a_port_that_is_taken_is_said_to_be_taken(desk: Desk) -> None:
    """With the address."""
    port = desk.url.rpartition(":")[2]
    command = [sys.executable, "-m", "cobot_pay.cli", "--home", str(desk.home), "proxy", desk.url]
    ended = await asyncio.to_thread(
        subprocess.run,
        [*command, "--listen", f"127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == BAD_WORDS
    assert f"cannot listen at 127.0.0.1:{port}" in ended.stderr
