"""The words of `cobot-pay`, and what each of them does: 0, 1 for a refusal, 2 for bad words."""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
from collections.abc import Sequence

from cobot_pay.account.auto_topup import TopupMark
from cobot_pay.account.service_account import AccountRefused
from cobot_pay.cli import reports
from cobot_pay.cli.asking import Question, ask
from cobot_pay.cli.buyer import Buyer
from cobot_pay.cli.proxying import LISTEN, ProxyTerms, run_proxy
from cobot_pay.cli.sellers import seller_of
from cobot_pay.cli.settings import BadSettings, read_client_settings
from cobot_pay.errors import L402Error

REFUSED, BAD_WORDS, INTERRUPTED = 1, 2, 130
_KEY_ACTIONS = ("list", "create", "rotate", "revoke", "forget")
_TIERS = ("public", "zdr", "local")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: its exit status, 0, 1 refused, 2 bad words or settings, 130 interrupted."""
    given = _words().parse_args(arguments)
    try:
        settings = read_client_settings(os.environ, given.home)
        asyncio.run(_run(given, Buyer(settings, say=_say)))
    except BadSettings as fault:
        _say(str(fault))
        return BAD_WORDS
    except (L402Error, AccountRefused) as fault:
        _say(str(fault))
        return REFUSED
    except (OSError, sqlite3.Error) as fault:
        _say(f"cannot keep or read what was paid: {fault}")
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


async def _run(given: argparse.Namespace, buyer: Buyer) -> None:
    match given.command:
        case "ask":
            question = Question(text=given.text, model=given.model, max_tokens=given.max_tokens)
            await ask(buyer, seller_of(given.seller), question, write=_write)
        case "proxy":
            terms = ProxyTerms(listen=given.listen, mark=_mark(given))
            await run_proxy(buyer, seller_of(given.seller), terms)
        case "topup":
            await _topup(given, buyer)
        case "keys":
            action = (given.action, given.id)
            if given.action in {"rotate", "revoke"} and not given.id:
                raise BadSettings(f"say which key: cobot-pay keys URL {given.action} key_…")
            seller = seller_of(given.seller)
            await reports.keys(buyer, seller, action, limits=_limits(given), write=_line)
        case "balance":
            seller_or_none = seller_of(given.seller) if given.seller else None
            await reports.balance(buyer, seller_or_none, write=_line)
        case _:
            if given.unpaid:
                reports.declare_unpaid(buyer, given.unpaid)
            await reports.receipts(
                buyer, settle=given.settle, unknown_only=given.unknown, write=_line
            )


async def _topup(given: argparse.Namespace, buyer: Buyer) -> None:
    """Without a wallet it is paid by hand: the invoice is shown, on a terminal as a QR code too."""
    if given.qr or not buyer.settings.wallet:
        buyer.pay_by_hand(draw=given.qr or sys.stderr.isatty())
    key = _limits(given) if given.key else None
    await reports.topup(buyer, seller_of(given.seller), given.sat, key=key, write=_line)


def _words() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="cobot-pay", description="Pays agents over Lightning, within a budget."
    )
    words.add_argument("--home", help="the folder of everything; COBOT_PAY_HOME, or ~/.cobot-pay")
    commands = words.add_subparsers(dest="command", required=True)

    one = commands.add_parser("ask", help="ask one question and pay for the answer")
    one.add_argument("seller", metavar="URL")
    one.add_argument("text")
    one.add_argument("--model", default="", help="the first one on offer when not given")
    one.add_argument("--max-tokens", type=int, default=1_024)

    one = commands.add_parser("proxy", help="a local base URL that pays, for any program")
    one.add_argument("seller", metavar="URL")
    one.add_argument("--listen", default=LISTEN, metavar="HOST:PORT")
    one.add_argument("--topup-below", type=int, metavar="SAT", help="keep the credit above this")
    one.add_argument("--topup-by", type=int, metavar="SAT", help="how much to buy each time")

    one = commands.add_parser("topup", help="buy credit beforehand")
    one.add_argument("seller", metavar="URL")
    one.add_argument("sat", type=int)
    one.add_argument("--key", action="store_true", help="and a key for it, which is printed")
    one.add_argument("--qr", action="store_true", help="draw the invoice, to be paid by hand")
    _add_limits(one)

    one = commands.add_parser("keys", help="list, create, rotate, revoke or forget keys")
    one.add_argument("seller", metavar="URL")
    one.add_argument("action", choices=_KEY_ACTIONS, nargs="?", default="list")
    one.add_argument("id", nargs="?", default="")
    _add_limits(one)

    one = commands.add_parser("balance", help="what is left: of the budget, and of credit at URL")
    one.add_argument("seller", metavar="URL", nargs="?", default="")

    one = commands.add_parser("receipts", help="what was paid, and with which preimage")
    one.add_argument("--unknown", action="store_true", help="only what may have been paid")
    one.add_argument("--settle", action="store_true", help="ask the wallet what became of those")
    one.add_argument("--unpaid", metavar="HASH", help="your word that this one was not paid")
    return words


def _add_limits(one: argparse.ArgumentParser) -> None:
    one.add_argument("--name", help="what the key is called")
    one.add_argument("--limit-sat", type=int, help="the most that the key may ever spend")
    one.add_argument("--day-limit-sat", type=int, help="the most that it may spend in a day")
    one.add_argument("--privacy", choices=_TIERS, help="the lowest tier of what it asks")


def _limits(given: argparse.Namespace) -> dict[str, object]:
    named = {
        "name": given.name,
        "limit_sat": given.limit_sat,
        "day_limit_sat": given.day_limit_sat,
        "privacy": given.privacy,
    }
    return {name: value for name, value in named.items() if value is not None}


def _mark(given: argparse.Namespace) -> TopupMark | None:
    below, by = given.topup_below, given.topup_by
    if below is None and by is None:
        return None
    if below is None or by is None or below < 1 or by < 1:
        raise BadSettings("--topup-below and --topup-by come together, each 1 sat or more")
    return TopupMark(below_sat=below, amount_sat=by)


def _line(text: str) -> None:
    print(text, flush=True)


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _say(text: str) -> None:
    """Write to stderr what is not the answer itself."""
    print(f"cobot-pay: {text}", file=sys.stderr, flush=True)
