"""Several models on the same centre totals and the same money: every centre paid by amounts set without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AMOUNT_COLUMNS
from lakemedelsmodell.data.cohort import CentreTotals
from lakemedelsmodell.data.totals_file import Totals
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS, SEXES
from lakemedelsmodell.measures.comparison import Comparison
from lakemedelsmodell.measures.contrasts import contrast
from lakemedelsmodell.measures.disclosure import (
    MONTHS_OF_FEW,
    NAMES,
    emptied,
    hidden_by_months,
    without_extremes,
)
from lakemedelsmodell.measures.fit import fit_measures
from lakemedelsmodell.measures.spread import spread
from lakemedelsmodell.models.from_totals import TotalsFit, TotalsModel, cells_of, models_of
from lakemedelsmodell.settlement import close_to_budget

CENTRES_PER_AMOUNT = 10
"""With fewer centres than this for each amount the amounts are mostly chance."""


@dataclass(frozen=True, eq=False)
class TotalsComparison:
    """What centre totals tell about several models.

    Attributes
    ----------
    totals : Totals
    comparison : Comparison
        Settlements, fit (R², CPM and error of centre means, not of persons), spreads and contrasts. It has
        no amount tables and no groups: totals cannot be paid out to persons, nor split by group.
    fits : mapping, model → TotalsFit
    cost_responsibility : float
    warnings : tuple of str
        What a reader should know before relying on the numbers.
    """

    totals: Totals
    comparison: Comparison
    fits: Mapping[str, TotalsFit]
    cost_responsibility: float
    warnings: tuple[str, ...]

    @cached_property
    def not_shown(self) -> np.ndarray:
        """Centres of which nothing is shown, bool, shape (K,): perhaps of fewer than five persons, and one more."""
        return hidden_by_months(self.totals.months)

    def amounts_frame(self) -> pd.DataFrame:
        """α × cost per listed month (per unit of an index or a covariate), columns of amounts.csv.

        Wider age bands stand once for each five-year band they cover; kind is age_sex, condition, index
        or covariate. Unknown for what perhaps fewer than five persons of all centres have set.
        """
        rows: list[tuple[Any, ...]] = []
        for name, fit in self.fits.items():
            for (kind, label), cost in zip(fit.columns, fit.amounts, strict=True):
                told = np.nan if self._set_by_few(kind, label) else self.cost_responsibility * cost
                rows += [(name, *row, told) for row in _amount_rows(kind, label)]
        frame = pd.DataFrame(rows, columns=["model", "kind", "name", "sex", "age_from", "age_to", "sek_per_month"])
        return frame.astype({"age_from": "Int64", "age_to": "Int64"}).reindex(columns=list(AMOUNT_COLUMNS))

    def _set_by_few(self, kind: str, label: str) -> bool:
        if kind not in ("age_sex", "flag"):
            return False
        months = self.totals.columns[kind][:, self.totals.names[kind].index(label)].sum()
        return 0 < months < MONTHS_OF_FEW

    def centres_frame(self) -> pd.DataFrame:
        """One row per centre and model, columns of centres.csv; empty for those not shown."""
        frame = self.comparison.centres_frame()
        names = self.totals.centres.set_index("centre_id")["name"]
        frame.insert(1, "name", frame["centre_id"].map(names))
        return emptied(frame, frame["centre_id"].isin(self.totals.centre_ids[self.not_shown]).to_numpy(), NAMES)

    def per_cent(self) -> pd.DataFrame:
        """Spread of every model in per cent of what centres pay on average, one row per model."""
        spreads = self.comparison.spreads.items()
        return pd.DataFrame({name: s.scaled(100 / s.own_cost).measures() for name, s in spreads}).T

    def results(self) -> dict[str, Any]:
        """totals, found, warnings, models and contrasts of results.json; null is what totals cannot tell."""
        comparison, amounts = self.comparison, self.amounts_frame()
        settlement = comparison.settlements["flat"]
        shown = amounts[["kind", "name", "sex", "age_from", "sek_per_month"]].astype(object)
        shown = shown.where(shown.notna(), None)
        return {
            "totals": {
                "centres": len(self.totals.months), "persons": None, "listed_months": float(self.totals.months.sum()),
                "dispensings": None, "cost_sek": float(self.totals.cost.sum()),
                "budget_sek": settlement.budget_ore / 100, "published_sek": None,
                "cost_responsibility": self.cost_responsibility, "left_out": dict(self.totals.counts)},
            "found": list(self.totals.found),
            "warnings": list(self.warnings),
            "models": {name: {
                "role": fit.model.role, "phi": comparison.settlements[name].phi,
                "unscaled": {"reimbursement_sek": float(comparison.settlements[name].unscaled_sek.sum()),
                             "spread": without_extremes(comparison.unscaled_spreads[name].measures(),
                                                        comparison.settlements[name].unscaled_net_per_month,
                                                        self.not_shown)},
                "amounts": shown[(amounts["model"] == name).to_numpy()].to_dict("records"),
                "fit": asdict(comparison.fits[name]),
                "spread": without_extremes(comparison.spreads[name].measures(),
                                           comparison.settlements[name].net_per_month, self.not_shown),
                "noise_floor": None, "true_sd": None, "pass_through": None, "rmse_to_ideal": None,
                "predictive_ratios": {},
            } for name, fit in self.fits.items()},
            "contrasts": [asdict(c) for c in comparison.contrasts],
        }

    def _repr_html_(self) -> str:
        columns = ["sd", "weighted_sd", "mad", "p90_p10", "within_5pct", "min", "max"]
        notes = "".join(f"<p>{w}</p>" for w in self.warnings)
        return (self.per_cent()[columns].to_html(float_format=lambda v: f"{v:,.2f}")
                + "<p>Per cent of the mean, every centre paid by amounts set without it.</p>" + notes)


def compare_totals(totals: Totals, cost_responsibility: float, budget_sek: float | None = None, *,
                   resamples: int = 2000, seed: int = 20260507) -> TotalsComparison:
    """Estimate every model the columns allow, pay each centre by amounts set without it, and measure.

    Parameters
    ----------
    totals : Totals
    cost_responsibility : α in (0, 1]
    budget_sek : SEK to share out; None = α × the centres' cost
    resamples, seed : of the BCa intervals

    Raises
    ------
    DataError
        When there are too few centres for the columns, or one that no other can set a payment for.
    UserError
        For a budget that cannot be shared out, or fewer than three centres.
    """
    if len(totals.months) < 3:
        raise UserError("A spread needs at least three centres with listed months.")
    nobody = np.zeros((len(totals.months), 0))
    centres = CentreTotals(totals.centre_ids, totals.months[:, None], (), nobody, totals.cost)
    fits, settlements, measured, warnings = {}, {}, {}, list[str]()
    for model in models_of(totals):
        fits[model.name] = fit = model.fit(totals)
        pay = cost_responsibility * fit.left_out * totals.months
        if (below := pay < 0).any():
            told = totals.centre_ids[below & ~hidden_by_months(totals.months)]
            warnings.append(f"{model.name}: {below.sum()} centres would be paid less than nothing"
                            f"{f', the first {told[0]}' if len(told) else ''}; they are paid 0. No other centre is "
                            "like them.")
        settlements[model.name] = close_to_budget(model.name, centres, pay.clip(min=0), cost_responsibility, budget_sek)
        measured[model.name] = fit_measures(totals.cost, fit.left_out, totals.months)
    comparison = Comparison(
        tables={}, settlements=settlements, fits=measured,
        spreads={name: spread(s.net_per_month, s.months, s.own_cost_per_month) for name, s in settlements.items()},
        unscaled_spreads={name: spread(s.unscaled_net_per_month, s.months, s.own_cost_per_month)
                          for name, s in settlements.items()},
        # Fit of centre means says nothing about randomly composed lists: R² of persons is not known here.
        contrasts=tuple(contrast(settlements[m], settlements[a], np.nan, np.nan, resamples=resamples, seed=seed)
                        for m, a in _pairs([fit.model for fit in fits.values()])),
        groups=pd.DataFrame(columns=["model", "group", "ratio", "ci_low", "ci_high", "persons"]))
    return TotalsComparison(totals, comparison, fits, cost_responsibility, (*warnings, *_warnings(fits)))


def _pairs(models: list[TotalsModel]) -> list[tuple[str, str]]:
    """(model, against), headline first: against age and sex from the same data, then indices, then the floor."""
    names = {m.name for m in models}
    fixed = [m.name for m in models if m.index is not None]
    planned = [("chronic", "age_sex"), ("chronic_covariates", "age_sex_covariates"), ("chronic_covariates", "chronic"),
               ("age_sex_covariates", "age_sex"), *((m, i) for m in ("chronic", "age_sex") for i in fixed),
               *((m, "flat") for m in ("age_sex", *fixed))]
    return [pair for pair in planned if set(pair) <= names]


def _amount_rows(kind: str, label: str) -> list[tuple[Any, ...]]:
    """(kind, name, sex, age_from, age_to) of an amount; an age_sex column gives one for each five-year band."""
    if kind == "flat":
        covered: tuple[tuple[int, int], ...] = tuple(np.ndindex(len(BAND_FROM), len(SEXES)))
    else:
        covered = cells_of(label) if kind == "age_sex" else ()
    if not covered:
        return [("condition" if kind == "flag" else kind, label, None, None, None)]
    last = len(BAND_FROM) - 1
    return [("age_sex", BAND_LABELS[b], SEXES[s], BAND_FROM[b], BAND_FROM[b] + 4 if b < last else None)
            for b, s in covered]


def _warnings(fits: Mapping[str, TotalsFit]) -> list[str]:
    found = []
    for name, fit in fits.items():
        K, p = len(fit.left_out), len(fit.columns)
        if CENTRES_PER_AMOUNT * p > K > p > 1:
            found.append(f"{name}: {K} centres set {p} amounts, fewer than {CENTRES_PER_AMOUNT} centres each; the "
                         "amounts are mostly chance. Merge columns.")
        if not fit.is_unique:
            found.append(f"{name}: some columns follow from others, so their amounts are one choice among many; "
                         "what centres are paid is not affected.")
        amounts = zip(fit.columns, fit.amounts, strict=True)
        if negative := [label for (kind, label), amount in amounts if kind == "age_sex" and amount < 0]:
            found.append(f"{name}: {len(negative)} of the age and sex amounts are below 0, the first {negative[0]}: "
                         "centre totals cannot tell neighbouring ages apart. Such amounts are for comparing models, "
                         "not for paying.")
    return found
