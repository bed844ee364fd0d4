"""A run's findings in words: which way the comparison fell, how much, how surely, over which months."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from lakemedelsmodell.report.contents import PROPOSAL, TODAY, Contents, Gaps
from lakemedelsmodell.report.numbers import DASH, NO_BREAK_SPACE, Numbers, known
from lakemedelsmodell.report.texts import Texts

DECIDED = ("for", "against", "undecided")
"""The verdicts that rest on an interval."""


def verdict(contrast: Gaps) -> str:
    """``for``, ``against`` or ``undecided`` by the interval; ``no_interval`` or ``unknown`` where it is missing."""
    log_ratio, low, high = (contrast.at(k) for k in ("log_sd_ratio", "ci_low", "ci_high"))
    if not known(log_ratio):
        return "unknown"
    if not (known(low) and known(high)):
        return "no_interval"
    return "for" if high < 0 else "against" if low > 0 else "undecided"


class Phrases:
    """One run's periods, changes, intervals and names in one language."""

    def __init__(self, contents: Contents, lang: str):
        self.contents, self.lang = contents, lang
        self.results = contents.results
        self.number = Numbers(lang)
        self.text = Texts(lang, contents.kind)
        self.headline = contents.contrast(PROPOSAL, TODAY)
        self.labels = {str(x.at("name")): self.label(x) for x in self.results.parts("conditions")}

    def period(self, period: Gaps) -> str:
        """``januari–juni 2026``; the label as it stands when the dates are missing."""
        try:
            start, end = (date.fromisoformat(str(period.at(k))[:10]) for k in ("start", "end"))
        except ValueError:
            return str(period.at("label") or DASH)
        names, last = self.text.listed("page.months"), end - timedelta(days=1)
        first_name, last_name = names[start.month - 1], names[last.month - 1]
        if start.year != last.year:
            return self.text.plain("page.months_years", first=first_name, first_year=start.year, last=last_name,
                                   year=last.year)
        if start.month == last.month:
            return f"{first_name} {start.year}"
        return self.text.plain("page.months_span", first=first_name, last=last_name, year=start.year)

    def _share(self, share: float) -> str:
        """A change in per cent; what would round to zero keeps enough decimals not to."""
        size = abs(share)
        return self.number.percent(size, 1 if size >= 0.0005 or size == 0 else 2)

    def change(self, log_ratio: float | None) -> str:
        """``23,4 % mindre`` from a log ratio."""
        if not known(log_ratio):
            return DASH
        share = math.expm1(log_ratio or 0)
        if share == 0:
            return self.text.plain("change.unchanged")
        return self.text.plain("change.smaller" if share < 0 else "change.larger", x=self._share(share))

    def interval(self, contrast: Gaps) -> str:
        """The interval of a contrast in words: ``18,2 till 28,1 % mindre``."""
        low, high = contrast.at("ci_low"), contrast.at("ci_high")
        if not (known(low) and known(high)):
            return DASH
        low, high = math.expm1(low), math.expm1(high)
        if low <= 0 <= high:
            return self.text.plain("change.between_both", low=self._share(low), high=self._share(high))
        nearest, farthest = (self._share(share) for share in sorted((low, high), key=abs))
        return self.text.plain("change.between_smaller" if high < 0 else "change.between_larger",
                               low=nearest.rstrip("%" + NO_BREAK_SPACE), high=farthest)  # one sign for both ends

    def signed_change(self, log_ratio: float | None) -> str:
        return self.number.percent(math.expm1(log_ratio or 0), sign=True) if known(log_ratio) else DASH

    def signed_interval(self, contrast: Gaps) -> str:
        """The same for a table: ``−28,1 % till −18,2 %``."""
        return self.range(*(self.signed_change(contrast.at(k)) for k in ("ci_low", "ci_high")))

    def model(self, name: str) -> str:
        """The name readers know a model by; any other word as it stands."""
        return self.text.plain(f"models.{name}") if f"models.{name}" in self.text else name

    def label(self, entry: Gaps) -> str:
        """The label of a condition or part in the report's language."""
        return str(entry.at(f"label_{self.lang}") or entry.at("name") or DASH)

    def condition(self, name: object) -> str:
        """The label of a condition that may be described in the run."""
        return self.labels.get(str(name), str(name or DASH))

    def spread(self, model: str, measure: str = "sd", of: Gaps | None = None) -> Any:
        """A measure of spread of a model in the run, or in the results of another period."""
        return (self.results if of is None else of).at("models", model, "spread", measure)

    def range(self, low: str, high: str) -> str:
        return DASH if DASH in (low, high) else self.text.plain("change.range", low=low, high=high)


def small(text: str) -> str:
    return text[:1].lower() + text[1:]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
