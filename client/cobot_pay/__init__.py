"""What a buying agent installs: auth that pays, and wallets; imports nothing else of ours."""

from cobot_pay.budget import Budget
from cobot_pay.dev_wallet import DevWallet
from cobot_pay.errors import (
    BudgetExceeded,
    ChallengeRefused,
    EventLoopUnsupported,
    L402Error,
    PaymentFailed,
    PaymentUnknown,
    ProofRefused,
)
from cobot_pay.l402_auth import L402Auth, L402Flow
from cobot_pay.purchase import PurchaseTerms
from cobot_pay.spending.limits import Amounts, BudgetLimits, Limits
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Payment, Wallet

__version__ = "0.1.0"

__all__ = [
    "Amounts",
    "Budget",
    "BudgetExceeded",
    "BudgetLimits",
    "ChallengeRefused",
    "DevWallet",
    "EventLoopUnsupported",
    "L402Auth",
    "L402Error",
    "L402Flow",
    "Limits",
    "Payment",
    "PaymentFailed",
    "PaymentUnknown",
    "ProofRefused",
    "PurchaseTerms",
    "StoredBudget",
    "Wallet",
]
