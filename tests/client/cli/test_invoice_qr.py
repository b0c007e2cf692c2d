"""Invoices as QR codes of text, and top-ups that a person pays with another wallet."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from hashlib import sha256

import httpx
import pytest

from cobot_pay.cli.hand_wallet import HandWallet, typed_line
from cobot_pay.cli.invoice_qr import BORDER, invoice_qr
from cobot_pay.cli.main import REFUSED
from cobot_pay.errors import PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import read_invoice
from tests.client.cli.desk import Desk
from tests.client.cli.qr_reader import LETTERS, qr_of, text_of
from tests.client.seller import invoice_text

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
TERMINAL_COLUMNS = 80
PREIMAGE = "5a" * 32
HASH = sha256(bytes.fromhex(PREIMAGE)).hexdigest()


@pytest.mark.parametrize("letters", [20, 47, 200, 301, 330, 400, 465, 533, 600, 780])
def test_the_printed_code_says_the_invoice(letters: int) -> None:
    """Decoded from its modules, whatever its length: half blocks lose no row."""
    drawn = random.Random(letters)
    invoice = "lnbc50u1" + "".join(drawn.choices(BECH32, k=letters))
    assert set(invoice.upper()) <= set(LETTERS)
    assert text_of(qr_of(invoice_qr(invoice))).lower() == invoice


def test_an_invoice_of_the_usual_length_fits_a_terminal() -> None:
    """With all that has to be free around it."""
    lines = invoice_qr("lnbc50u1" + "q" * 392).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= TERMINAL_COLUMNS
    assert set(lines[0]) == {"█"}
    assert all(line[:BORDER] == line[-BORDER:] == "█" * BORDER for line in lines)


class Person:
    """Somebody who types these lines, and what is shown."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.shown: list[str] = []

    async def told(self) -> str:
        """The next line; nothing at their end."""
        return self.lines.pop(0) if self.lines else ""

    def wallet(self, *, draw: bool = False) -> HandWallet:
        """As this person pays."""
        return HandWallet(say=self.shown.append, told=self.told, draw=draw)


async def test_a_person_pays_what_is_shown() -> None:
    """What is no preimage of it is asked for again."""
    invoice = invoice_text(HASH, 7_000)
    person = Person("what?\n", "00" * 32 + "\n", f"  {PREIMAGE.upper()} \n")
    payment = await person.wallet(draw=True).pay(invoice, max_fee_msat=0)
    assert (payment.preimage, payment.amount_msat, payment.fee_msat) == (PREIMAGE, 7_000, 0)
    assert person.shown[0] == f"invoice {invoice}"
    assert text_of(qr_of(person.shown[1])).lower() == invoice
    assert sum("64 hexadecimal digits" in line for line in person.shown) == 2


async def test_an_empty_line_is_the_word_that_it_was_not_paid() -> None:
    """And no word at all leaves it unknown."""
    invoice = invoice_text(HASH, 7_000)
    with pytest.raises(PaymentFailed):
        await Person("\n").wallet().pay(invoice, max_fee_msat=0)
    with pytest.raises(PaymentUnknown):
        await Person().wallet().pay(invoice, max_fee_msat=0)


async def test_what_is_typed_is_read_line_by_line() -> None:
    """Without a buffer that would keep the second line from whoever reads next."""
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\nthree")
    assert [await typed_line(reading) for _ in range(2)] == ["one\n", "two\n"]
    os.close(writing)
    assert [await typed_line(reading) for _ in range(2)] == ["three", ""]
    os.close(reading)


def by_hand(desk: Desk, *words: str) -> subprocess.Popen[str]:
    """`cobot-pay topup` in a process of its own, and nobody's wallet."""
    environ = {name: value for name, value in os.environ.items() if name != "COBOT_PAY_WALLET"}
    command = [sys.executable, "-m", "cobot_pay.cli", "--home", str(desk.home), "topup", desk.url]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*command, *words], env=environ, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    desk.processes.append(process)
    return process


async def shown(process: subprocess.Popen[str]) -> list[str]:
    """What it shows until it asks for the preimage."""
    lines: list[str] = []
    assert process.stderr is not None
    while not lines or "preimage" not in lines[-1]:
        line = await asyncio.to_thread(process.stderr.readline)
        assert line, lines
        lines.append(line)
    return lines


async def test_a_topup_without_a_wallet_is_paid_by_hand(desk: Desk) -> None:
    """Paid by whatever read the code off the terminal; the pasted preimage brings the key."""
    process = by_hand(desk, "100", "--key", "--qr")
    lines = await shown(process)
    invoice = lines[0].split()[-1]
    assert text_of(qr_of("".join(lines))).lower() == invoice
    async with httpx.AsyncClient(trust_env=False) as http:
        paid = await http.post(f"{desk.url}/pay", json={"payment_request": invoice})
    preimage = paid.json()["payment_preimage"]
    out, err = await asyncio.to_thread(process.communicate, f"{preimage}\n", 20)
    assert process.returncode == 0, err
    assert desk.budget.key_at(desk.url) == out.strip() in desk.seller.keys
    assert desk.budget.spent_today_msat == 100_000
    assert "credit at" in err


async def test_in_a_pipe_nothing_is_drawn_and_going_away_keeps_the_amount(desk: Desk) -> None:
    """It may have been paid: it stays reserved until its owner or a wallet speaks."""
    process = by_hand(desk, "100")
    lines = await shown(process)
    assert len(lines) == 2
    _, err = await asyncio.to_thread(process.communicate, "", 20)
    assert (process.returncode, "stays reserved" in err) == (REFUSED, True)
    assert desk.budget.reserved_msat == 100_000
    payment_hash = read_invoice(lines[0].split()[-1]).payment_hash
    assert (await desk.run("receipts", "--unpaid", payment_hash))[0] == 0
    assert desk.budget.reserved_msat == 0
