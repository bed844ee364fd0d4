"""The manipulation laboratory from end to end: every strategy under every design, and which design stands up."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.engines import arrays
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import Settings
from lakemedelsmodell.manipulation.board import Board
from lakemedelsmodell.manipulation.designs import DEFENDED, PROPOSAL, TODAY, Design, read_designs
from lakemedelsmodell.manipulation.frontier import EFFORT, RULE, frontier
from lakemedelsmodell.manipulation.play import EFFORTS, Gain, play
from lakemedelsmodell.manipulation.region import Region, Terms
from lakemedelsmodell.manipulation.strategies import STRATEGIES, OnRows, Strategy
from lakemedelsmodell.manipulation.trigger_cost import incentives
from lakemedelsmodell.measures.incentives import Incentives
from lakemedelsmodell.settlement import settle
from lakemedelsmodell.verdict import ManipulationFinding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA_VERSION = 1
COLUMNS = ("strategy", "number", "model", "design", "amounts", "effort", "played_by",
           *(f.name for f in fields(Gain) if f.name not in ("strategy", "number", "model", "design", "amounts",
                                                            "effort", "played_by")))
"""Columns of manipulation.csv; see :class:`~lakemedelsmodell.manipulation.play.Gain`."""

ASSUMED = (
    "Amounts are those of the untouched twin, frozen; the flags an act makes are paid for as long as the look-back "
    "holds them, in half-years that lie in the data.",
    "The centre acts in the half-year before the one the amounts are fitted on; it knows the amounts and the prices of "
    "packs, and picks the group or persons that promise most.",
    "Extra cost is what the region pays when the fee staircase is run again for that person from the first day of the "
    "data to the last; a person's place in the fee period is found from the fees paid.",
    "A tenth of the centres play, drawn by their id: each alone, all of them at once; all centres are taken to gain as "
    "these do when all play.",
    "Work, recruiting and reputation cost nothing: gains are before them.",
)
GROSS_UNKNOWN = ("Gross prices are not in the data: the region is taken to pay the whole price and the patient "
                 "nothing, so what play costs the centre is overstated.")


@dataclass(frozen=True, eq=False)
class Manipulation:
    """What every strategy brings under every design.

    Attributes
    ----------
    gains : DataFrame
        One row per strategy, design, effort and number of players; see
        :class:`~lakemedelsmodell.manipulation.play.Gain`.
    frontier : DataFrame
        One row per design; see :func:`~lakemedelsmodell.manipulation.frontier.frontier`.
    noise_floor : float
        SEK per listed month.
    told : mapping
        Period, players, persons, share of persons whose fees were met, what is assumed.
    left_out : mapping of design → why it could not be played
    incentives : Incentives or None
        What a flag costs to trigger and brings under the proposal and the defended version, before anyone behaves; None
        where gross prices are not known or no conditions are paid.
    """

    gains: pd.DataFrame
    frontier: pd.DataFrame
    noise_floor: float
    told: Mapping[str, Any]
    left_out: Mapping[str, str]
    incentives: Incentives | None = None

    @property
    def recommended(self) -> str | None:
        """The design chosen by the rule; None where none qualifies."""
        chosen = self.frontier.loc[self.frontier["recommended"], "design"]
        return str(chosen.iloc[0]) if len(chosen) else None

    def to_frame(self) -> pd.DataFrame:
        """The gains."""
        return self.gains

    def headline(self) -> pd.DataFrame:
        """Per design the strategy that brings one centre most: effort, gain per listed month and in noise floors."""
        one = self.gains[self.gains["played_by"] == "one"]
        best = one.loc[one.groupby("design", sort=False)["gain_per_listed_month"].idxmax()]
        return best[["design", "model", "strategy", "effort", "gain_per_listed_month", "gain_in_noise_floors",
                     "return_per_krona", "patients_pay_sek"]].reset_index(drop=True)

    def finding(self, design: str | None = None) -> ManipulationFinding:
        """For the verdict, of the design that ``chronic_defended`` pays; where it was not played, of the recommended
        one or of the first defended one.

        Raises UserError for a design that was not played.
        """
        table = self.frontier.set_index("design")
        defended = table[table["model"] == "chronic_defended"]
        name = design or (DEFENDED if DEFENDED in table.index else self.recommended) or (
            defended.index[0] if len(defended) else PROPOSAL)
        if name not in table.index:
            raise UserError(f"The design {name} was not played. Choose one of {', '.join(table.index)}.")
        row = table.loc[name]
        worst = f"worst strategy {row['worst_strategy']}" if row["worst_gain"] > 0 else "no strategy gains"
        chosen = f"recommended: {self.recommended}" if self.recommended else "no design is recommended by the rule"
        return ManipulationFinding(
            model=str(row["model"]), non_dominated=not row["dominated"], worst_gain=float(row["worst_gain"]),
            rmse_change=float(row["rmse_to_ideal"] - table.loc[TODAY, "rmse_to_ideal"]),
            detail=f"design {name}; {worst} at effort {EFFORT:g}; {chosen}")

    def to_dict(self) -> dict[str, Any]:
        """manipulation.json without versions."""
        return {"schema": SCHEMA_VERSION, **self.told, "noise_floor": self.noise_floor, "rule": RULE,
                "recommended": self.recommended, "clause": _known(asdict(self.finding())),
                "left_out": dict(self.left_out),
                "incentives": _records(self.incentives.to_frame()) if self.incentives else None,
                "frontier": _records(self.frontier), "headline": _records(self.headline()),
                "gains": _records(self.gains)}

    def plot(self, **keywords: Any) -> Axes:
        """The frontier; a matplotlib Axes."""
        from lakemedelsmodell.manipulation.figures import frontier_figure

        return frontier_figure(self.frontier, **keywords)

    def plot_gains(self, **keywords: Any) -> Axes:
        """Gain by strategy under today's model, the proposal and its defended versions; a matplotlib Axes."""
        from lakemedelsmodell.manipulation.figures import gains_figure

        shown = [TODAY, PROPOSAL, *([self.recommended] if self.recommended else [])]
        return gains_figure(self.gains, shown, **keywords)

    def plot_incentives(self, model: str = "chronic", **keywords: Any) -> Axes:
        """Which groups pay more than they cost to trigger; a matplotlib Axes. Raises UserError where that is not known.
        """
        if self.incentives is None:
            raise UserError("What a flag costs to trigger is not known without gross prices.")
        return self.incentives.plot(model, **keywords)

    def _repr_html_(self) -> str:
        return self.headline().to_html(index=False, float_format=lambda v: f"{v:,.2f}", na_rep="")


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def manipulate(half_year: HalfYear, settings: Settings = Settings(), *, designs: Sequence[Design] | None = None,
               strategies: Sequence[Strategy] = STRATEGIES, efforts: Sequence[float] = EFFORTS,
               style: Mapping[str, float] | None = None, workers: int = 2,
               progress: Callable[[str], Any] = lambda _: None) -> Manipulation:
    """Play every strategy against every design on a half-year's data, a region's own or a simulated one.

    Parameters
    ----------
    designs : the packaged ones by default; today's model and the proposal come first
    efforts : shares of those eligible who are treated, 0 to 1; 0 and the effort of the frontier are always among them
    style : person_id → expected cost of the centre's style, SEK per listed month, where a truth is known
    workers : threads; the result is the same with any number

    Raises UserError for efforts that are no shares or a period the data cannot serve.
    """
    from threadpoolctl import threadpool_limits

    if bad := [e for e in efforts if not 0 <= e <= 1]:
        raise UserError(f"An effort of {bad[0]:g} is no share of those eligible. Give numbers from 0 to 1.")
    with threadpool_limits(1, "blas"):  # threads are for strategies; and sums are the same whatever there are
        return _manipulated(half_year, settings, designs or read_designs(), strategies,
                            sorted({0.0, EFFORT, *efforts}), style, workers, progress)


def _manipulated(half_year: HalfYear, settings: Settings, designs: Sequence[Design], strategies: Sequence[Strategy],
                 efforts: Sequence[float], style: Mapping[str, float] | None, workers: int,
                 progress: Callable[[str], Any]) -> Manipulation:
    from joblib import Parallel, delayed

    region = Region.of(half_year, settings, progress=progress)
    if style is not None:
        region.style = _style_of_centres(region, style)
    found: dict[int, Terms] = {}
    left_out: dict[str, str] = {}
    for i, done in region.all_terms(designs, workers):
        progress(f"setting the amounts of design {len(found) + len(left_out) + 1} of {len(designs)}")
        if isinstance(done, Terms):
            found[i] = done
        else:
            left_out[designs[i].name] = str(done)
    terms = [found[i] for i in sorted(found)]
    floor = region.noise_floor()
    progress("reading the players' purchases")
    board = Board(region, seed=settings.seed)

    progress(f"fees of {board.fees.share_found:.0%} of the players' persons are met")  # found before the threads

    def played_against(alike: list[Terms]) -> dict[str, list[Gain]]:
        return {t.design.name: [gain for strategy in strategies
                                for gain in play(board, t, strategy, strategy.outcome(board, t), efforts, floor)]
                for t in alike}

    alike: dict[Hashable, list[Terms]] = {}
    for t in terms:
        alike.setdefault(t.read_as, []).append(t)
    gains: dict[str, list[Gain]] = {}
    threads = Parallel(n_jobs=workers, backend="threading", return_as="generator")
    for of_designs in threads(delayed(played_against)(ts) for ts in sorted(alike.values(), key=len, reverse=True)):
        gains |= of_designs
        progress(f"{len(gains)} of {len(terms)} designs are played against")
    played = pd.DataFrame([vars(g) for t in terms for g in gains[t.design.name]])[list(COLUMNS)]
    told = {
        "content_hash": half_year.content_hash,
        "period": str(region.plan.period), "fit_period": str(region.plan.fit_period),
        "act_period": str(Period(region.act_start, region.plan.fit_period.start)),
        "variants": list(region.plan.variants),
        "players": len(board.players), "centres": int((board.centre_months[:, 1] > 0).sum()),
        "players_persons": len(board), "efforts": efforts, "fees_met": board.fees.share_found,
        "gross_prices_known": bool(region.staircases),
        "assumed": [*ASSUMED, *([] if region.staircases else [GROSS_UNKNOWN])],
        "designs": [t.design.model_dump(mode="json") | {"dropped": list(t.dropped)} for t in terms],
        "strategies": [{"number": s.number, "name": s.name, "says": s.says, "closed_form": s.closed_form}
                       for s in strategies],
    }
    like = _like(region, dict.fromkeys(t.design.pool_threshold for t in terms))
    table = frontier(terms, played, [s.name for s in strategies if isinstance(s, OnRows)], like)
    progress("what a flag costs to trigger")
    return Manipulation(played, table, floor, told, left_out, _incentives(region, terms))


def _like(region: Region, pools: Iterable[float | None]) -> dict[float | None, tuple[Terms, Terms]]:
    """Today and the proposal with each pool: what the fit of designs with that pool is held against."""
    today, proposal = Design(name=TODAY, conditions=False), Design(name=PROPOSAL)
    read = region.read(today), region.read(proposal)
    return {pool: (region.terms(today.model_copy(update={"pool_threshold": pool}), read[0]),
                   region.terms(proposal.model_copy(update={"pool_threshold": pool}), read[1])) for pool in pools}


def _incentives(region: Region, terms: Sequence[Terms]) -> Incentives | None:
    """Of the proposal, and of the design that ``chronic_defended`` pays where it was played."""
    by_name = {t.design.name: t for t in terms}
    chosen = {model: by_name[name] for model, name in (("chronic", PROPOSAL), ("chronic_defended", DEFENDED))
              if name in by_name}
    if not region.staircases or not region.listed.names:
        return None
    paid = region.cohorts[1]
    cohort = replace(paid, conditions=region.listed.names, flags={
        t.design.rule: region.paid_flags(t)[paid.person] for t in chosen.values()})
    tables = {name: AmountTable(name, t.cells.reshape(-1, 2), conditions=t.conditions.names, add_ons=t.add_ons,
                                rule=t.design.rule, pool_threshold=t.design.pool_threshold)
              for name, t in chosen.items()}
    settlements = {name: settle(table, cohort, region.alpha) for name, table in tables.items()}
    return incentives(region.half_year, cohort, region.plan.lookback, region.listed, tables, settlements)


def _style_of_centres(region: Region, style: Mapping[str, float]) -> np.ndarray:
    """s_k, SEK per listed month, shape (K,): persons' style by listed months of the paid half-year."""
    ids = arrays(region.half_year.persons.order_by("person").select("person_id"))["person_id"]
    of_person = np.array([style[str(i)] for i in ids])
    paid = region.cohorts[1]
    months = np.bincount(paid.centre, paid.months, paid.n_centres)
    with np.errstate(invalid="ignore"):
        return np.round(np.bincount(paid.centre, of_person[paid.person] * paid.months, paid.n_centres) / months, 9)
