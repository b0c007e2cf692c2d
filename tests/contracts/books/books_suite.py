"""The whole contract of `Books` and `LedgerReports`: one suite for every place they are kept in.

A test module for one of them subclasses `BooksSuite` under a name that pytest collects and gives
it the fixtures `books` and `reports`, empty for each test.
"""

from __future__ import annotations

from tests.contracts.books.books_body_keys import BooksBodyKeys
from tests.contracts.books.books_budgets import BooksBudgets
from tests.contracts.books.books_guards import BooksGuards
from tests.contracts.books.books_keys import BooksKeys
from tests.contracts.books.books_lookups import BooksLookups
from tests.contracts.books.books_quarantine import BooksQuarantine
from tests.contracts.books.books_runs import BooksRuns
from tests.contracts.books.books_tasks import BooksTasks
from tests.contracts.books.books_totals import BooksTotals
from tests.contracts.books.books_writes import BooksWrites
from tests.contracts.ledger_reports_suite import LedgerReportsSuite


class BooksSuite(
    BooksWrites,
    BooksGuards,
    BooksLookups,
    BooksRuns,
    BooksTasks,
    BooksTotals,
    BooksQuarantine,
    BooksBodyKeys,
    BooksKeys,
    BooksBudgets,
    LedgerReportsSuite,
):
    """Everything that books promise."""
