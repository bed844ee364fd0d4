"""Several models on the same cohort and the same money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.measures.calibration import Calibration, calibration, payment_system_fit
from lakemedelsmodell.measures.contrasts import Contrast, contrast
from lakemedelsmodell.measures.fit import FitMeasures, fit_measures, variation
from lakemedelsmodell.measures.groups import groups, predictive_ratios
from lakemedelsmodell.measures.groups import outside_groups as outside_groups_of
from lakemedelsmodell.measures.spread import Spread, spread
from lakemedelsmodell.measures.stays import stays
from lakemedelsmodell.palette import PROPOSAL_COLOUR, TODAY_COLOUR
from lakemedelsmodell.settlement import Payer, Settlement, pay_per_month, pooled_cost, settle_rows, table_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTRASTS = (("chronic", "age_sex"), ("chronic", "age_sex_published"), ("chronic_defended", "age_sex"),
             ("chronic_defended", "age_sex_pool_10k"), ("chronic_pool", "age_sex_pool"), ("chronic", "age_sex_pool"),
             ("chronic", "age_sex_cni"), ("chronic_nonnegative", "age_sex"),
             ("chronic_newcomers", "age_sex"))
"""The contrasts of the analysis plan, headline first: (model, against)."""


KEPT = 1 << 25
"""Rows × models up to which what each row is paid is kept; a quarter of a gigabyte."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Settlements of several models on one cohort and one budget, with their measures.

    Attributes
    ----------
    tables : mapping, model → AmountTable
        Without the models that are never paid and so have no table.
    settlements : mapping, model → Settlement
    fits : mapping, model → FitMeasures
        Of Ĉ = R/(αe) before φ and rounding. R includes what a pool pays, so a pooled model's fit is that of its
        payment system (Layton, Ellis, McGuire & van Kleef 2017), not of its amounts.
    spreads, unscaled_spreads : mapping, model → Spread
        Of the net per listed month; unscaled with the amounts paid as they stand (φ = 1).
    contrasts : tuple of Contrast, headline first
    groups : DataFrame
        Predictive ratios, one row per model and group (:func:`~.groups.predictive_ratios`).
    calibrations : mapping, model → Calibration
        By deciles of the cost that is paid for, R/(αe) after φ and rounding, so that all models predict the same sum.
        Empty where not asked for.
    payment_fits : mapping, model → FitMeasures
        Of what is paid, after φ and rounding (:func:`~.calibration.payment_system_fit`); beside the calibrations.
    paid_per_month : mapping, model → float64, shape (n,)
        SEK per listed month that each row of the cohort was paid, φ and pool included; of a large cohort found anew
        each time it is asked for.
    """

    tables: Mapping[str, AmountTable]
    settlements: Mapping[str, Settlement]
    fits: Mapping[str, FitMeasures]
    spreads: Mapping[str, Spread]
    unscaled_spreads: Mapping[str, Spread]
    contrasts: tuple[Contrast, ...]
    groups: pd.DataFrame
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    payment_fits: Mapping[str, FitMeasures] = field(default_factory=dict)
    paid_per_month: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)

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
        ax.plot(place, before[order], "o", ms=3.5, mfc="none", color=TODAY_COLOUR, label=against)
        ax.plot(place, after[order], "o", ms=3.5, color=PROPOSAL_COLOUR, label=model)
        ax.set(xlabel=f"Centres, by net under {against}", ylabel="Net, SEK per listed month")
        ax.legend(frameon=False)
        return ax

    def __repr__(self) -> str:
        widest = max(map(len, self.models))
        lines = [f"  {m:<{widest}}  {self.spreads[m].sd:8.3f}" for m in self.models]
        return "\n".join(["SD of the centres' nets, SEK per listed month", *lines])

    def _repr_html_(self) -> str:
        wide = self.to_frame().pivot(index="model", columns="measure", values="value").loc[list(self.models)]
        wide = wide[["r2", "cpm", "mae", "phi", "sd", "weighted_sd", "p90_p10", "share_positive", "within_2pct", "min",
                     "max"]]
        said = "".join(c._repr_html_() for c in self.contrasts)
        return wide.to_html(float_format=lambda v: f"{v:,.3f}") + "<p>Money in SEK per listed month.</p>" + said


@dataclass(frozen=True, eq=False)
class PaidPerMonth(Mapping[str, np.ndarray]):
    """What every row is paid by each model, found when asked for: one column at a time, not rows × models."""

    payers: Mapping[str, Payer]
    cohort: Cohort
    settlements: Mapping[str, Settlement]

    def __getitem__(self, model: str) -> np.ndarray:
        payer = self.payers[model]
        return _paid(payer, pay_per_month(payer, self.cohort), self.cohort, self.settlements[model])

    def __iter__(self) -> Iterator[str]:
        return iter(self.payers)

    def __len__(self) -> int:
        return len(self.payers)


def _paid(payer: Payer, per_row: np.ndarray, cohort: Cohort, settled: Settlement) -> np.ndarray:
    """SEK per listed month as paid: ``per_row`` scaled by φ, and what the pool pays."""
    table = table_of(payer)
    paid = settled.phi * per_row
    if table is None or table.pool_threshold is None:
        return paid
    return paid + settled.cost_responsibility * pooled_cost(cohort, table.pool_threshold) / cohort.months


@dataclass(frozen=True, eq=False)
class _Paid:
    """A cohort paid by one model, with what :class:`Comparison` tells of it; None for what is not asked for."""

    settlement: Settlement
    fit: FitMeasures
    per_month: np.ndarray | None = None
    calibration: Calibration | None = None
    payment_fit: FitMeasures | None = None


def compare(payers: Mapping[str, Payer] | Iterable[Payer], cohort: Cohort,
            cost_responsibility: float, budget_sek: float | None = None, *,
            contrasts: Iterable[tuple[str, str]] | None = None, by_group: bool = True, outside_groups: bool = False,
            deciles: bool = False, resamples: int = 2000, seed: int = 20260507) -> Comparison:
    """Pay the cohort by each model, on the same budget, and measure.

    Parameters
    ----------
    payers : models' amount tables by name (or a sequence of them, named by their model), or a
        :class:`~lakemedelsmodell.settlement.Prediction` of what each row would get
    cohort : Cohort of the paid period
    cost_responsibility : α in (0, 1]
    budget_sek : SEK to share out; None = α × the cohort's cost
    contrasts : pairs (model, against); None = those of :data:`CONTRASTS` that both models are there for,
        else every other model against the first
    by_group : measure groups of persons (:func:`~.groups.groups`)
    outside_groups : and those that no model sees, too (:func:`~.groups.outside_groups`)
    deciles : set actual cost against the cost that is paid for, by deciles of the latter and in all, too
    resamples, seed : of the BCa intervals

    Raises UserError for a contrast with a model that is not there.
    """
    named = dict(payers) if isinstance(payers, Mapping) else {p.model: p for p in payers}
    tables = {name: table_of(p) for name, p in named.items()}
    rules = {table.rule if table else None for table in tables.values()}
    cohort.totals()
    of_each(cohort.profiles, rules, len(cohort.cost))  # before the threads, which would each find them
    totals = dict(zip(rules, of_each(cohort.totals, rules, len(cohort.cost)), strict=True))
    exposure = cohort.exposure
    fitted_cost = cohort.cost if cohort.fit_cost is None else cohort.fit_cost

    weighted = cohort.weighted(fitted_cost)
    varies = of_cost = variation(weighted, exposure)
    if cohort.fit_cost is not None:
        of_cost = variation(cohort.weighted(cohort.cost), exposure)

    stays(cohort)  # before the threads
    keep = by_group and len(exposure) * len(named) <= KEPT

    def pay_by(name: str) -> _Paid:
        payer, table = named[name], tables[name]
        per_row = pay_per_month(payer, cohort)
        unrounded = payer.unrounded if isinstance(payer, AmountTable) else None
        exact = pay_per_month(unrounded, cohort) if unrounded else per_row
        settled = settle_rows(payer, cohort, totals[table.rule if table else None], cost_responsibility, budget_sek,
                              per_row)
        predicted = exact / cost_responsibility
        if table and table.pool_threshold is not None:
            predicted = predicted + pooled_cost(cohort, table.pool_threshold, fitted_cost) / cohort.months
        fit = fit_measures(weighted, predicted, exposure, varies)
        del exact, predicted
        if not (keep or deciles):
            return _Paid(settled, fit)
        paid = _paid(payer, per_row, cohort, settled)
        return _Paid(
            settled, fit, per_month=paid if keep else None,
            calibration=calibration(cohort, paid / cost_responsibility) if deciles else None,
            payment_fit=payment_system_fit(cohort, exposure * paid, cost_responsibility, of_cost) if deciles else None)

    found = dict(zip(named, of_each(pay_by, named, len(exposure)), strict=True))
    settlements = {name: one.settlement for name, one in found.items()}
    fits = {name: one.fit for name, one in found.items()}
    paid: Mapping[str, np.ndarray] = (
        {name: one.per_month for name, one in found.items() if one.per_month is not None}
        if keep else PaidPerMonth(named, cohort, settlements))

    if contrasts is None:
        first, *others = named
        contrasts = [c for c in CONTRASTS if set(c) <= set(named)] or [(model, first) for model in others]
    contrasts = list(contrasts)
    if unknown := {m for pair in contrasts for m in pair} - set(named):
        raise UserError(f"There is no model {', '.join(sorted(unknown))} to contrast. There are: {', '.join(named)}.")
    return Comparison(
        tables={name: table for name, table in tables.items() if table}, settlements=settlements, fits=fits,
        spreads={name: spread(s.net_per_month, s.months, s.own_cost_per_month) for name, s in settlements.items()},
        unscaled_spreads={name: spread(s.unscaled_net_per_month, s.months, s.own_cost_per_month)
                          for name, s in settlements.items()},
        contrasts=tuple(of_each(lambda pair: contrast(*(settlements[m] for m in pair), *(fits[m].r2 for m in pair),
                                                      resamples=resamples, seed=seed), contrasts)),
        groups=predictive_ratios(cohort, paid, cost_responsibility, chain(
            groups(cohort) if by_group else (), outside_groups_of(cohort) if by_group and outside_groups else ())),
        calibrations={name: one.calibration for name, one in found.items() if one.calibration},
        payment_fits={name: one.payment_fit for name, one in found.items() if one.payment_fit}, paid_per_month=paid,
    )
