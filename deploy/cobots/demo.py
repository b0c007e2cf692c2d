"""`make demo-cobots`: one real cobot works for another and is paid; what was said is recorded.

Ada asks her cobot alice; alice asks bob over FileDrop; bob works (two calls of a model, one tool)
and bills; alice pays within her budget and brings the answer. Then the budget is spent.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from cobot_pay.peers.blocks import Bill, read_block, sentences
from deploy.cobots.buying_cobot import Purse, buying_cobot
from deploy.cobots.market import Market, MarketFailed
from deploy.cobots.real_cobot import COBOT, MODEL, ROOT, CobotFailed, Person, RealCobot

WIDTH = 114
TOOL = "weigh_parcel"  # of deploy/cobots/scales.py, which only a cobot can import
CREDIT_SAT = 2_000
DAY_SAT, TASK_SAT = 25, 20
PICTURE = ROOT / "docs" / "cobots.svg"
QUESTION = "Ask your peer bob, for at most 20 sat, to weigh this: Parcel-for-Lisbon"
AGAIN = "Ask your peer bob, for at most 20 sat, to weigh this: Parcel-for-Oslo"
_SHOWN_MAX = 600
# A picture in a README loads nothing, least of all fonts from elsewhere.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Stage:
    """The two cobots, their service and Ada; says what happens as it happens."""

    def __init__(self, console: Console, folder: Path) -> None:
        """Nothing runs yet."""
        self._console = console
        self._folder = folder
        self._market = Market(folder / "service")
        self._ada = Person("ada", folder / "drop")

    async def play(self) -> None:
        """The whole of it. Raises MarketFailed and CobotFailed."""
        self._market.start()
        try:
            await self._with_cobots()
        finally:
            self._market.stop()

    async def _with_cobots(self) -> None:
        sellers_key, seller = self._market.key(CREDIT_SAT)
        self._market.trust(seller)
        buyers_key, buyer = self._market.key(CREDIT_SAT)
        bob = self._bob(sellers_key)
        purse = Purse(wallet=f"dev:{self._market.node}", day_sat=DAY_SAT, task_sat=TASK_SAT)
        alice = buying_cobot(self._folder, service=self._market.face, key=buyers_key, purse=purse)
        try:
            bob.start()
            alice.start()
            await self._sale(alice, bob)
            await self._too_much(alice)
        finally:
            alice.kill()
            bob.kill()
        self._books(alice, seller=seller, buyer=buyer)

    def _bob(self, key: str) -> RealCobot:
        selling = {"url": f"{self._market.face}/v1", "api_key": key, "poll_ms": 200}
        return RealCobot(
            name="bob",
            folder=self._folder,
            drop=self._folder / "drop",
            provider={"api_base": f"{self._market.face}/v1", "api_key": key},
            external=("cobot_meter.cobot", "deploy.cobots.scales"),
            sections={"meter-seller": {**selling, "tools": [TOOL], "fee_sat": 10}},
        )

    async def _sale(self, alice: RealCobot, bob: RealCobot) -> None:
        self._say("ada → alice", QUESTION)
        self._ada.write("alice", QUESTION)
        bills = self._folder / "drop/alice/processed"
        await alice.until(lambda: any(map(_bill_in, bills.glob("*.json"))), "a bill")
        bill = next(text for path in bills.glob("*.json") if (text := _bill_in(path)))
        done = (line for line in bob.log.splitlines() if "tool_done" in line)
        self._say("bob works: two calls of a model, one tool", "\n".join(done))
        self._say("bob → alice", _short(sentences(bill)))
        answer = await self._heard(alice, "bob answered")
        self._say("alice → ada", answer)
        folder = bob.home / ".cobot/meter-seller/open"
        await bob.until(lambda: not any(folder.glob("*.json")), "the end of the sale")

    async def _too_much(self, alice: RealCobot) -> None:
        self._say("ada → alice", AGAIN)
        self._ada.write("alice", AGAIN)
        self._say("alice → ada", await self._heard(alice, "I did not ask bob"))

    async def _heard(self, alice: RealCobot, words: str) -> str:
        await alice.until(lambda: any(words in one for one in self._ada.letters), words)
        return next(one for one in self._ada.letters if words in one)

    def _books(self, alice: RealCobot, *, seller: str, buyer: str) -> None:
        home = str(alice.home / ".cobot-pay")
        receipt = self._market.command("--home", home, "receipts", module="cobot_pay.cli")
        self._say("the receipt that alice keeps", receipt)
        for title, caller in (
            ("bob's statement", seller),
            ("alice's, for her own thoughts", buyer),
        ):
            told = self._market.command("ledger", "--caller", caller)
            self._say(title, told.partition("\nTrial balance")[0])
        self._say("the service's trial balance", self._market.command("ledger"))
        self._say("the audit", self._market.command("audit").strip().rpartition("\n")[2])

    def _say(self, who: str, what: str) -> None:
        self._console.print(Panel(Text(what.strip()), title=who, title_align="left", width=WIDTH))


def _bill_in(path: Path) -> str:
    text = Person.content(path)
    return text if isinstance(read_block(text), Bill) else ""


def _short(text: str) -> str:
    """An invoice is some hundred letters that nobody reads."""
    words = [f"{one[:40]}…" if one.startswith("lnbc") else one for one in text.split("\n")]
    return "\n".join(words)[:_SHOWN_MAX]


def main(words: Sequence[str]) -> int:
    """With `--record` it becomes a picture of the documents.

    0 when all of it happened and the books balance.
    """
    console = Console(record=True, width=WIDTH)
    if not COBOT.exists():
        console.print("cobot 0.2.0 is not installed: `make demo-cobots` installs it.")
        return 2
    console.print(Rule(f"two cobots 0.2.0, FileDrop between them, {MODEL} simulated, play money"))
    try:
        with tempfile.TemporaryDirectory(prefix="cobots-") as folder:
            asyncio.run(Stage(console, Path(folder)).play())
    except (MarketFailed, CobotFailed) as failed:
        console.print(Text(str(failed)))
        return 1
    if "--record" in words:
        picture = console.export_svg(title="make demo-cobots")
        PICTURE.write_text(_FONTS.sub("", picture), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
