"""What a reader should know before relying on the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

WARNINGS = {
    "partial_period": "The period {period} is not complete in the data: months of it lack dispensings.",
    "missing_months": "No dispensings at all in {months}, though there are some before. Is a file missing?",
    "ddd_unknown": "DDD is unknown for {per_cent} per cent of the dispensings, so that conditions which ask for doses, "
                   "as those of the defended design do, are found in too few.",
    "concurrent_fit": "Too little history to fit on the half-year before ({fit_period}): amounts are fitted on the "
                      "paid period itself, which flatters every model.",
    "concurrent_flags": "No dispensings before the paid period: flags are read from the paid period itself, so the "
                        "pack that sets a flag sits inside the cost it explains.",
    "short_lookback": "Look-back of {used} months instead of {wanted}: the data begin in {first_month}.",
    "few_centres": "Only {centres} centres: a spread over so few says little.",
    "empty_centres": "{centres} centres have no listed months in the period; they have no net.",
    "strangers": "{per_cent} per cent of the dispensings are of persons nobody lists, and count nowhere. Are the "
                 "pseudonyms the same in every table?",
    "silent_centres": "{centres} centres have listed persons and no cost at all in the period. Are all their "
                      "dispensings in the extract?",
    "spreadsheet_rows": "There are {rows} dispensings, just as many as a spreadsheet holds. Was the extract cut off "
                        "there?",
    "centres_below_zero": "A centre's amounts come to less than nothing under {models}, so that it would pay in "
                          "instead of being paid; at most {centres} do.",
    "negative_amounts": "{model}: the amount for age and sex is below 0 in {cells} of {of} cells (lowest {lowest} SEK "
                        "per listed month). Add-ons that simply add up overpay those who hold few conditions, and a "
                        "table with amounts below 0 can hardly be paid.",
    "borrowed_cells": "{model}: {source}.",
    "partial_month": "The data end on {last_day}, before the month does: its cost and dispensings are not all there.",
    "dominant_centre": "One centre, {centre}, has {share} per cent of all listed months: it decides the budget it is "
                       "paid from, and what is a difference between centres.",
    "thin_conditions": "Fewer than {fewest} persons when the amounts were set: {conditions_en}. Their add-ons are "
                       "uncertain.",
    "collinear_conditions": "Can hardly be told from the other conditions: {conditions_en}. Their add-ons may be "
                            "shifted between them; read them together.",
    "amounts_at_zero": "{model}: the add-on would be below 0 and is held at 0 for {conditions_en}.",
    "budget_far_from_cost": "The budget is {per_cent} per cent {direction_en} the centres' share of the cost: compare "
                            "how far apart centres lie, not how many gain.",
    "left_out": "{said}",
}
"""What a reader should know before relying on the numbers, by kind; the report says the same in its language."""


@dataclass(frozen=True)
class Warned:
    """One of :data:`WARNINGS` with its values."""

    kind: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return WARNINGS[self.kind].format(**self.values)


def warned(kind: str, **values: Any) -> Warned:
    return Warned(kind, values)


def said(warnings: Sequence[Warned]) -> dict[str, Any]:
    return {"warnings": [str(w) for w in warnings], "warning_kinds": [asdict(w) for w in warnings]}
