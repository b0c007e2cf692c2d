"""Opens the wallet that a setting names. What another kind of wallet needs is not loaded."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from cobot_pay.cli.settings import WALLET_VARIABLE, BadSettings
from cobot_pay.errors import PaymentFailed
from cobot_pay.wallet import Payment, Wallet

KINDS = (
    "dev:http://127.0.0.1:8404 (play money), nostr+walletconnect://… (a wallet of yours anywhere), "
    "or lnd:HOST:PORT?tls=FILE&macaroon=FILE"
)


class NoWallet:
    """A wallet where none is set: it refuses every payment, and a prepaid key needs none."""

    charges_fees = False

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:  # noqa: ARG002 - of no use
        """Raises PaymentFailed in any case: nothing is paid."""
        raise PaymentFailed(f"no wallet is set: put {KINDS} into {WALLET_VARIABLE}")


def open_wallet(setting: str) -> Wallet:
    """The wallet of a setting. Raises BadSettings with a sentence that says what to write."""
    kind, _, rest = setting.partition(":")
    try:
        match kind:
            case "":
                return NoWallet()
            case "dev":
                from cobot_pay.dev_wallet import DevWallet

                return DevWallet(rest)
            case "nostr+walletconnect" | "nostrwalletconnect":
                from cobot_pay.nwc_wallet import NwcWallet

                return NwcWallet(setting)
            case "lnd":
                return _lnd(rest)
            case _:
                raise BadSettings(f"a wallet is {KINDS}, not {kind!r}")
    except ModuleNotFoundError as fault:
        extra = "lnd" if kind == "lnd" else "nwc"
        message = f"this wallet needs more: pip install 'cobot-pay[{extra}]' ({fault.name})"
        raise BadSettings(message) from fault
    except ValueError as fault:
        raise BadSettings(str(fault)) from fault


def _lnd(rest: str) -> Wallet:
    from cobot_pay.lnd_wallet import LndWallet

    parts = urlsplit(f"//{rest}")
    files = parse_qs(parts.query)
    if not parts.netloc or not files.get("tls") or not files.get("macaroon"):
        raise BadSettings("LND's wallet is written lnd:HOST:PORT?tls=FILE&macaroon=FILE")
    return LndWallet(
        address=parts.netloc, tls_cert_path=files["tls"][0], macaroon_path=files["macaroon"][0]
    )
