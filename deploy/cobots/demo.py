"""`make demo-cobots`: one real cobot works for another and is paid; what was said is recorded.

Ada asks her cobot alice, who buys each of her own thoughts; alice asks bob over FileDrop; bob works
(two calls of a model, one tool) and bills; alice pays within her budget and brings the answer. Then
the budget is spent. `make demo-cobots LND=1` does it on real lnd nodes.
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

from cobot_pay import DevWallet, L402Error, StoredBudget
from cobot_pay.peers.blocks import Bill, read_block, sentences
from cobot_pay.spending.stored_budget import Receipt
from deploy.cobots.buying_cobot import Purse, buying_cobot
from deploy.cobots.market import Market, MarketFailed
from deploy.cobots.nodes import RealNodes, real_nodes
from deploy.cobots.real_cobot import COBOT, MODEL, ROOT, CobotFailed, Person, RealCobot
from deploy.regtest.demo_books import Held
from deploy.regtest.errors import BuildFailed, NodeFault, NodesLeftOut
from deploy.regtest.standing import ended_by_signal

WIDTH = 114
TERMINATED = 143
NODES_FAILED = (NodesLeftOut, BuildFailed, NodeFault)
TOOL = "weigh_parcel"  # of deploy/cobots/scales.py, which only a cobot can import
CREDIT_SAT = 2_000
DAY_SAT, TASK_SAT = 30, 20
PICTURE = ROOT / "docs" / "cobots.svg"
QUESTION = "Ask your peer bob, for at most 20 sat, to weigh this: Parcel-for-Lisbon"
AGAIN = "Ask your peer bob, for at most 20 sat, to weigh this: Parcel-for-Oslo"
_SHOWN_MAX = 600
# A picture in a README loads nothing, least of all fonts from elsewhere.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Stage:
    """The two cobots, their service and Ada; says what happens as it happens."""

    def __init__(self, console: Console, folder: Path, nodes: RealNodes | None = None) -> None:
        """Without `nodes` it is all play money. Nothing runs yet."""
        self._console = console
        self._folder = folder
        self._nodes = nodes
        self._market = Market(folder / "service", nodes.settings if nodes else None)
        self._wallet = nodes.wallet if nodes else f"dev:{self._market.node}"
        self._payer = nodes.payer if nodes else DevWallet(self._market.node)
        self._ada = Person("ada", folder / "drop")

    async def play(self) -> None:
        """The whole of it. Raises MarketFailed, CobotFailed and L402Error."""
        self._market.start()
        try:
            await self._with_cobots()
        finally:
            self._market.stop()

    async def _with_cobots(self) -> None:
        sellers_key, seller = await self._market.key(CREDIT_SAT, self._payer)
        self._market.trust(seller)
        bob = self._bob(sellers_key)
        purse = Purse(wallet=self._wallet, day_sat=DAY_SAT, task_sat=TASK_SAT)
        alice = buying_cobot(self._folder, service=self._market.face, purse=purse)
        held = await self._nodes.held() if self._nodes else None
        received_msat = self._market.received_msat()
        try:
            bob.start()
            alice.start()
            await self._sale(alice, bob)
            await self._too_much(alice)
        finally:
            alice.kill()
            bob.kill()
        self._books(alice, seller=seller)
        if self._nodes and held:
            budget = StoredBudget(alice.home / ".cobot-pay" / "payments.sqlite")
            self._compare(
                budget.receipts(),
                before=held,
                after=await self._nodes.held(),
                received_msat=self._market.received_msat() - received_msat,
            )

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

    def _books(self, alice: RealCobot, *, seller: str) -> None:
        home = str(alice.home / ".cobot-pay")
        receipts = self._market.command("--home", home, "receipts", module="cobot_pay.cli")
        self._say("alice's receipts: her own thoughts, and bob's bill", receipts)
        told = self._market.command("ledger", "--caller", seller)
        self._say("bob's statement", told.partition("\nTrial balance")[0])
        self._say("the service's trial balance", self._market.command("ledger"))
        self._say("the audit", self._market.command("audit").strip().rpartition("\n")[2])

    def _compare(
        self, receipts: Sequence[Receipt], *, before: Held, after: Held, received_msat: int
    ) -> None:
        """What alice's cobot and the service have booked, beside what the nodes hold."""
        spent_msat = sum(one.amount_msat for one in receipts)
        pairs = (
            (
                "alice's node fell by",
                before.alice_msat - after.alice_msat,
                "her receipts",
                spent_msat,
            ),
            ("bob's node rose by", after.bob_msat - before.bob_msat, "the books", received_msat),
        )
        lines = [f"{one} {found:,} msat; {of} say {said:,}" for one, found, of, said in pairs]
        lines.append(f"carol, who routes, has earned {after.carol_msat - before.carol_msat:,} msat")
        self._say("what the nodes say", "\n".join(lines))
        if any(found != said for _, found, _, said in pairs):
            raise MarketFailed("the books do not agree with the nodes")

    def _say(self, who: str, what: str) -> None:
        self._console.print(Panel(Text(what.strip()), title=who, title_align="left", width=WIDTH))


def _bill_in(path: Path) -> str:
    text = Person.content(path)
    return text if isinstance(read_block(text), Bill) else ""


def _short(text: str) -> str:
    """An invoice is some hundred letters that nobody reads."""
    words = [f"{one[:40]}…" if one.startswith("lnbc") else one for one in text.split("\n")]
    return "\n".join(words)[:_SHOWN_MAX]


async def play(console: Console, folder: Path, *, on_lnd: bool) -> None:
    """All of it, on play money or on real nodes. Raises what goes wrong.

    A signal ends it in order: cobots, service and nodes are processes of their own.
    """
    ended_by_signal()
    if not on_lnd:
        await Stage(console, folder).play()
        return
    console.print("starting btcd and the nodes of alice, bob and carol")
    async with real_nodes(folder / "nodes") as nodes:
        await Stage(console, folder, nodes).play()


def main(words: Sequence[str]) -> int:
    """With `--lnd` on real nodes; with `--record` it becomes a picture of the documents.

    0 when all of it happened and the books balance.
    """
    console = Console(record=True, width=WIDTH)
    if not COBOT.exists():
        console.print("cobot 0.2.0 is not installed: `make demo-cobots` installs it.")
        return 2
    on_lnd = "--lnd" in words
    money = "real lnd nodes on regtest" if on_lnd else "play money"
    console.print(Rule(f"two cobots 0.2.0, FileDrop between them, {MODEL} simulated, {money}"))
    try:
        with tempfile.TemporaryDirectory(prefix="cobots-") as folder:
            asyncio.run(play(console, Path(folder), on_lnd=on_lnd))
    except (MarketFailed, CobotFailed, L402Error, *NODES_FAILED) as failed:
        console.print(Text(str(failed)))
        return 1
    except asyncio.CancelledError:
        return TERMINATED
    if "--record" in words:
        picture = console.export_svg(title="make demo-cobots")
        PICTURE.write_text(_FONTS.sub("", picture), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
