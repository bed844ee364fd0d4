"""Several models on the same cohort and the same money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.measures.contrasts import Contrast, contrast
from lakemedelsmodell.measures.fit import FitMeasures, fit_measures
from lakemedelsmodell.measures.groups import predictive_ratios
from lakemedelsmodell.measures.spread import Spread, spread
from lakemedelsmodell.models.out_of_fold import OutOfFold
from lakemedelsmodell.settlement import Settlement, close_to_budget, unscaled_reimbursement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTRASTS = (("chronic", "age_sex"), ("chronic", "age_sex_published"), ("chronic_defended", "age_sex"))
"""The contrasts of the analysis plan, headline first: (model, against)."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Settlements of several models on one cohort and one budget, with their measures.

    Attributes
    ----------
    tables : mapping, model → AmountTable
    settlements : mapping, model → Settlement
    fits : mapping, model → FitMeasures
        Of Ĉ = R/(αe) before φ and rounding.
    spreads, unscaled_spreads : mapping, model → Spread
        Of the net per listed month; unscaled with the amounts paid as they stand (φ = 1).
    contrasts : tuple of Contrast, headline first
    groups : DataFrame
        Predictive ratios, one row per model and group (:func:`~.groups.predictive_ratios`).
    """

    tables: Mapping[str, AmountTable]
    settlements: Mapping[str, Settlement]
    fits: Mapping[str, FitMeasures]
    spreads: Mapping[str, Spread]
    unscaled_spreads: Mapping[str, Spread]
    contrasts: tuple[Contrast, ...]
    groups: pd.DataFrame

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.settlements)

    def to_frame(self) -> pd.DataFrame:
        """Tidy: model, measure, value. Money in SEK per listed month."""
        by_model = {m: {"phi": self.settlements[m].phi, **asdict(self.fits[m]), **self.spreads[m].measures()}
                    for m in self.models}
        rows = [(model, measure, value) for model, values in by_model.items() for measure, value in values.items()]
        return pd.DataFrame(rows, columns=["model", "measure", "value"])

    def contrasts_frame(self) -> pd.DataFrame:
        """One row per contrast, columns as :class:`Contrast`."""
        return pd.DataFrame([asdict(c) for c in self.contrasts])

    def centres_frame(self) -> pd.DataFrame:
        """One row per centre and model, columns of centres.csv without the name."""
        return pd.concat([s.to_frame() for s in self.settlements.values()], ignore_index=True)

    def plot(self, model: str | None = None, against: str | None = None, ax: Axes | None = None) -> Axes:
        """Every centre's net under two models, SEK per listed month, in the order of ``against``.

        Without names the models of the first contrast, or the last and the first model.
        """
        last, first = self.models[-1], self.models[0]
        headline = (self.contrasts[0].model, self.contrasts[0].against) if self.contrasts else (last, first)
        model, against = model or headline[0], against or headline[1]
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(8, 4))[1]
        before, after = (self.settlements[m].net_per_month for m in (against, model))
        order = np.argsort(before, kind="stable")
        place = np.arange(1, len(order) + 1)
        ax.axhline(0, color="0.4", lw=0.8)
        ax.vlines(place, before[order], after[order], color="0.85", lw=0.8)
        ax.plot(place, before[order], "o", ms=3.5, mfc="none", label=against)
        ax.plot(place, after[order], "o", ms=3.5, label=model)
        ax.set(xlabel=f"Centres, by net under {against}", ylabel="Net, SEK per listed month")
        ax.legend(frameon=False)
        return ax

    def _repr_html_(self) -> str:
        wide = self.to_frame().pivot(index="model", columns="measure", values="value").loc[list(self.models)]
        wide = wide[["r2", "cpm", "mae", "phi", "sd", "weighted_sd", "p90_p10", "share_positive", "within_2pct", "min",
                     "max"]]
        said = "".join(
            f"<p>SD of {escape(c.model)} over SD of {escape(c.against)}: {c.sd_ratio:.3f} "
            f"(95 % {np.exp(c.ci_low):.3f} to {np.exp(c.ci_high):.3f}); randomly composed lists would give "
            f"{c.random_list_ratio:.3f}.</p>" for c in self.contrasts)
        return wide.to_html(float_format=lambda v: f"{v:,.3f}") + "<p>Money in SEK per listed month.</p>" + said


def compare(payers: Mapping[str, AmountTable | OutOfFold] | Iterable[AmountTable | OutOfFold], cohort: Cohort,
            cost_responsibility: float, budget_sek: float | None = None, *,
            contrasts: Iterable[tuple[str, str]] | None = None,
            resamples: int = 2000, seed: int = 20260507) -> Comparison:
    """Pay the cohort by each model, on the same budget, and measure.

    Parameters
    ----------
    payers : models' amount tables by name (or a sequence of them, named by their model); an
        :class:`~lakemedelsmodell.models.OutOfFold` pays every row by the amounts set without its fold
    cohort : Cohort of the paid period
    cost_responsibility : α in (0, 1]
    budget_sek : SEK to share out; None = α × the cohort's cost
    contrasts : pairs (model, against); None = those of :data:`CONTRASTS` that both models are there for,
        else every other model against the first
    resamples, seed : of the BCa intervals

    Raises UserError for a contrast with a model that is not there.
    """
    named = dict(payers) if isinstance(payers, Mapping) else {p.model: p for p in payers}
    totals = {rule: cohort.totals(rule) for rule in {_table(p).rule for p in named.values()}}
    exposure, cell = cohort.exposure, cohort.cell
    fitted_cost = cohort.cost if cohort.fit_cost is None else cohort.fit_cost
    if cohort.weight is not None:
        fitted_cost = fitted_cost * cohort.weight

    settlements, fits, paid = {}, {}, {}
    for name, payer in named.items():
        table = _table(payer)
        flags = cohort.flags[table.rule] if table.rule else None
        if isinstance(payer, OutOfFold):
            exact = per_row = payer.per_row
            unscaled = np.bincount(cohort.centre, exposure * per_row, cohort.n_centres)
        else:
            per_row = table.per_month(cell, flags)
            exact = table.unrounded.per_month(cell, flags) if table.unrounded else per_row
            unscaled = unscaled_reimbursement(table, totals[table.rule])
        settlements[name] = close_to_budget(name, totals[table.rule], unscaled, cost_responsibility, budget_sek)
        fits[name] = fit_measures(fitted_cost, exact / cost_responsibility, exposure)
        paid[name] = settlements[name].phi * per_row

    if contrasts is None:
        first, *others = named
        contrasts = [c for c in CONTRASTS if set(c) <= set(named)] or [(model, first) for model in others]
    contrasts = list(contrasts)
    if unknown := {m for pair in contrasts for m in pair} - set(named):
        raise UserError(f"There is no model {', '.join(sorted(unknown))} to contrast. There are: {', '.join(named)}.")
    return Comparison(
        tables={name: _table(p) for name, p in named.items()}, settlements=settlements, fits=fits,
        spreads={name: spread(s.net_per_month, s.months, s.own_cost_per_month) for name, s in settlements.items()},
        unscaled_spreads={name: spread(s.unscaled_net_per_month, s.months, s.own_cost_per_month)
                          for name, s in settlements.items()},
        contrasts=tuple(contrast(settlements[m], settlements[a], fits[m].r2, fits[a].r2, resamples=resamples, seed=seed)
                        for m, a in contrasts),
        groups=predictive_ratios(cohort, paid, cost_responsibility),
    )


def _table(payer: AmountTable | OutOfFold) -> AmountTable:
    return payer.table if isinstance(payer, OutOfFold) else payer
