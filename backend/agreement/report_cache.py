"""Figures and pages of the report that are still true, kept in the memory of one web process.

The log only grows, so figures are true for as long as nothing is added (`AgreementQueries.version`
is read before them). The log is asked on every request: a change is seen at once, also one that
another process made.
"""

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, RLock
from time import monotonic
from typing import Generic, TypeVar

from backend.agreement.figures import AgreementReport, measure_agreement
from backend.agreement.queries import AgreementQueries, LogVersion
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.records import Filters

T = TypeVar("T")

MOST = 8  # answers of each kind
INCOMPLETE_SECONDS = 30.0  # how long a page is kept whose pictures could not all be fetched


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page.

    Attributes:
        nonce: the one in `html`, different in each page, which each answer replaces by its own.
        until: end of its time on the monotonic clock; infinite for a page with all its pictures.
    """

    html: str
    nonce: str
    until: float


class LatestAnswers(Generic[T]):
    """The answers to the latest questions about one version of the log; safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = Lock()
        self._version: LogVersion | None = None
        self._answers: OrderedDict[Filters, T] = OrderedDict()

    def find(self, version: LogVersion, filters: Filters) -> T | None:
        """Return the answer about this version of the log, or None."""
        with self._lock:
            if version != self._version or filters not in self._answers:
                return None
            self._answers.move_to_end(filters)
            return self._answers[filters]

    def keep(self, version: LogVersion, filters: Filters, answer: T) -> None:
        """Keep an answer; forget those about another version, and the one not used for longest."""
        with self._lock:
            if version != self._version:
                self._version = version
                self._answers.clear()
            self._answers[filters] = answer
            self._answers.move_to_end(filters)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)


class ReportCache:
    """Computes figures and pages of the report, each once for a version of the log.

    One computation runs at a time, and whoever waited for it looks again: many equal requests cost
    as much as one, and different ones do not need their memory together.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._queries = AgreementQueries(database)
        self._computing = RLock()  # a page computes its figures inside
        self._figures: LatestAnswers[AgreementReport] = LatestAnswers()
        self._texts: LatestAnswers[str] = LatestAnswers()
        self._pages: LatestAnswers[Page] = LatestAnswers()

    def figures(self, filters: Filters) -> AgreementReport:
        """Return every figure of the verdicts that pass the filters."""
        return self._answer(
            self._figures, filters, lambda: measure_agreement(self._database, filters)
        )

    def text(self, filters: Filters) -> str:
        """Return the figures as the text of a JSON object."""
        return self._answer(
            self._texts,
            filters,
            lambda: json.dumps(self.figures(filters).as_json(), separators=(",", ":")) + "\n",
        )

    def page(self, filters: Filters, nonce: str) -> str:
        """Return the page that the backend serves.

        Args:
            nonce: nonce that the page's content security policy requires for its script.
        """
        page = self._answer(
            self._pages, filters, lambda: self._render(filters), lambda it: monotonic() < it.until
        )
        return page.html.replace(page.nonce, nonce)

    def _answer(
        self,
        kept: LatestAnswers[T],
        filters: Filters,
        compute: Callable[[], T],
        is_good: Callable[[T], bool] = lambda _: True,
    ) -> T:
        found = kept.find(self._queries.version(), filters)
        if found is not None and is_good(found):
            return found
        with self._computing:
            version = self._queries.version()
            found = kept.find(version, filters)
            if found is None or not is_good(found):
                found = compute()
                kept.keep(version, filters, found)
            return found

    def _render(self, filters: Filters) -> Page:
        # Imported here because the web process would start more slowly with Matplotlib.
        from backend.agreement.pictures import ReportPictures
        from backend.agreement.report import render

        nonce = secrets.token_urlsafe(16)
        pictures = ReportPictures(self._settings, self._database)
        html = render(
            self._settings,
            self._database,
            filters,
            nonce=nonce,
            served=True,
            report=self.figures(filters),
            pictures=pictures,
        )
        until = float("inf") if pictures.complete else monotonic() + INCOMPLETE_SECONDS
        return Page(html, nonce, until)
