"""What a buying agent installs: auth that pays, and wallets; imports nothing else of ours."""

from service.client.budget import Budget
from service.client.dev_wallet import DevWallet
from service.client.errors import (
    BudgetExceeded,
    ChallengeRefused,
    EventLoopUnsupported,
    L402Error,
    PaymentFailed,
    PaymentUnknown,
    ProofRefused,
)
from service.client.l402_auth import L402Auth, L402Flow
from service.client.purchase import PurchaseTerms
from service.client.wallet import Payment, Wallet

__all__ = [
    "Budget",
    "BudgetExceeded",
    "ChallengeRefused",
    "DevWallet",
    "EventLoopUnsupported",
    "L402Auth",
    "L402Error",
    "L402Flow",
    "Payment",
    "PaymentFailed",
    "PaymentUnknown",
    "ProofRefused",
    "PurchaseTerms",
    "Wallet",
]
