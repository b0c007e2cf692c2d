"""`topup`: buy credit of a service, and the API key that spends it, as anybody does over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.streams import is_unicode
from cobot_meter.cli.terminal import CommandFailed, CouldNotLook, Terminal, run, terminal_of
from cobot_meter.domain.api_key.record import SECRET_PREFIX
from cobot_pay.cli.invoice_qr import NoQrCode, invoice_qr
from cobot_pay.dev_wallet import DevWallet

TIMEOUT_S = 30.0
_PREIMAGE = re.compile(r"[0-9a-f]{64}")
_WHERE = "The service's address, such as https://b.example; ours unless it is said."


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupOrder:
    """What is bought where; `headers` name the caller who is credited."""

    url: str
    body: dict[str, Any]
    headers: dict[str, str]


def topup(
    context: typer.Context,
    amount_sat: Annotated[int, typer.Argument(help="How much, in sat.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="A name: make an API key. A key (sk-cobot-…): credit its caller."
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help=_WHERE)] = None,
    *,
    pay: Annotated[
        bool, typer.Option("--pay", help="Pay with the development wallet (play money).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Buy credit of a service, and with --key the API key that spends it."""
    terminal = terminal_of(context)
    settings = terminal.settings()
    named = key is None or not key.startswith(SECRET_PREFIX)
    purchase = TopupOrder(
        url=(url or settings.face.public_url).rstrip("/"),
        body={"amount_sat": amount_sat, **({"key": {"name": key}} if key and named else {})},
        headers={} if named else {"Authorization": f"Bearer {key}"},
    )
    asked = run(_posted(purchase))
    if not as_json:
        terminal.out.print(f"invoice {asked['invoice']}", soft_wrap=True)
        if terminal.out.is_terminal and not pay:
            _draw(terminal, asked["invoice"])
    if pay:
        wallet = DevWallet(settings.node.listen.url)
        preimage = run(wallet.pay(asked["invoice"], max_fee_msat=0)).preimage
    else:
        preimage = _told_preimage()
    proof = {"Authorization": f"L402 {asked['macaroon']}:{preimage}"}
    credited = run(_posted(purchase, proof=proof))
    if as_json:
        terminal.write_json({"proof": proof["Authorization"], **credited})
    else:
        _tell(terminal, purchase.url, credited, proof["Authorization"])


def _draw(terminal: Terminal, invoice: str) -> None:
    """The invoice as a QR code, for a telephone to pay, or why there is none."""
    try:
        drawn = invoice_qr(invoice)
    except NoQrCode as missing:
        drawn = str(missing)
    if not is_unicode(terminal.out.encoding) or terminal.out.width <= drawn.find("\n"):
        drawn = "this terminal is too narrow for a QR code of the invoice, or knows no half blocks"
    terminal.out.print(drawn, soft_wrap=True, highlight=False)


def _told_preimage() -> str:
    """What the wallet shows of the payment. Raises CommandFailed."""
    said: str = typer.prompt("Pay it, then paste the preimage that your wallet shows", err=True)
    preimage = said.strip().lower()
    if not _PREIMAGE.fullmatch(preimage):
        message = "a preimage is 64 hexadecimal digits: your wallet shows it as proof of payment"
        raise CommandFailed(message)
    return preimage


def _tell(terminal: Terminal, url: str, credited: dict[str, Any], proof: str) -> None:
    out = terminal.out
    out.print(f"credit {credited['available_msat']} msat")
    made = credited["key"]
    if made is None:
        return
    out.print("keep this proof: it alone makes, changes and ends keys", soft_wrap=True)
    out.print(f"  {proof}", soft_wrap=True)
    out.print("for a program:")
    out.print(f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={made['key']}", soft_wrap=True)


async def _posted(purchase: TopupOrder, *, proof: dict[str, str] | None = None) -> dict[str, Any]:
    """The 402, or with a proof what it has bought. Raises CommandFailed, CouldNotLook."""
    wanted = httpx.codes.OK if proof else httpx.codes.PAYMENT_REQUIRED
    target = f"{purchase.url}/v1/topups"
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            headers = proof or purchase.headers
            answer = await http.post(target, json=purchase.body, headers=headers)
        document: dict[str, Any] = answer.json()
    except (httpx.TransportError, httpx.InvalidURL, ValueError) as fault:
        message = f"no service answers at {target}; is `cobot-meter serve` running?"
        raise CouldNotLook(message) from fault
    if answer.status_code != wanted or (proof is None and "invoice" not in document):
        raise CommandFailed(_why(document))
    return document


def _why(document: dict[str, Any]) -> str:
    error = document.get("error")
    said = error.get("message") if isinstance(error, dict) else None
    return str(said or "the service gave no reason")
