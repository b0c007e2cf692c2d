"""What a buying agent installs: auth that pays, and wallets; imports nothing else of ours.

Importing the package loads nothing: a cobot loads its plugins in it at every start, and httpx alone
costs more than all of them. The first of its names that is used loads them all.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

else:

    def __getattr__(name: str) -> object:
        """A public name; hidden from type checkers, which would take any other name for one too."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        from cobot_pay import budget, dev_wallet, errors, l402_auth, purchase, wallet
        from cobot_pay.spending import limits, stored_budget

        homes = (budget, dev_wallet, errors, l402_auth, purchase, wallet, limits, stored_budget)
        return next(vars(home)[name] for home in homes if name in vars(home))

    def __dir__() -> list[str]:
        """What can be asked for, whether it is loaded yet or not."""
        return sorted({*globals(), *__all__})


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
