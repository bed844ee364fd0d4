"""The verdict, by a rule that was fixed beforehand: each clause with its number, its threshold and its outcome.

It is passed on numbers, wherever they come from: the draws of a simulated world, or one half-year of a region's own.
What only a truth, many draws or a played manipulation can tell is then not yet known, and the verdict undecided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lakemedelsmodell.data.toml_files import read_checked

SEK = "SEK per listed month"
LOG_RATIO, SHARE = "ln of SD ratio", "share of own style"
Decision = Literal["for", "against", "undecided"]
Measures = Mapping[str, Mapping[str, float]]
"""Model → measure → value; what is paired is named ``measure.against``. Unknown is nan or absent."""
Groups = Mapping[str, Mapping[str, float]]
"""Named group → ``persons`` and, by model, mean payment less own cost (``need.<model>``: less the cost of need),
SEK per listed month."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpreadClause(_Part):
    """Δ's 95 % interval lies below ``below`` for each pair (model, against)."""

    pairs: tuple[tuple[str, str], ...]
    below: float


class PassThroughClause(_Part):
    """The model lets as much style through as the other, but for the margin."""

    model: str
    against: str
    margin: Annotated[float, Field(le=0)]


class GroupsClause(_Part):
    """No named group of ``min_persons`` or more is further from its cost, or from its need, by more than ``sek``."""

    model: str
    against: str
    sek: Annotated[float, Field(ge=0)]
    min_persons: Annotated[int, Field(ge=1)]


class ManipulationClause(_Part):
    """A defended version is not beaten on both distance to the ideal and worst gain from manipulation."""

    model: str


class Rule(_Part):
    """When the proposal is recommended: all clauses hold. It is rejected when one fails."""

    name: str
    spread: SpreadClause
    pass_through: PassThroughClause
    groups: GroupsClause
    manipulation: ManipulationClause


@dataclass(frozen=True)
class ManipulationFinding:
    """What playing manipulation against a defended version came to.

    Attributes
    ----------
    model : str
    non_dominated : bool
        No other version has both a smaller distance to the ideal net and a smaller worst gain.
    worst_gain : float
        Of the strategies played, the largest net gain of a centre, SEK per listed month.
    rmse_change : float
        RMSE to the ideal net less that of today's model, SEK per listed month; nan where no truth is known.
    detail : str
    """

    model: str
    non_dominated: bool
    worst_gain: float
    rmse_change: float
    detail: str = ""

    @classmethod
    def read(cls, clause: Mapping[str, Any]) -> ManipulationFinding:
        """As manipulation.json has it, unknown as null."""
        return cls(clause["model"], clause["non_dominated"], clause["worst_gain"], _number(clause["rmse_change"]),
                   clause["detail"])


@dataclass(frozen=True)
class Clause:
    """One clause.

    Attributes
    ----------
    name, says : str
    number, threshold : float
        nan where it cannot be known yet; a clause without a threshold of its own has none.
    holds : bool or None
        None: not yet known.
    detail : str
    unit : str
        Of number and threshold.
    group, further_from : str or None
        The group of persons that the number is of, and whether from its "cost" or its "need".
    """

    name: str
    says: str
    number: float
    threshold: float
    holds: bool | None
    detail: str = ""
    unit: str = ""
    group: str | None = None
    further_from: str | None = None

    def __str__(self) -> str:
        outcome = {True: "holds", False: "FAILS", None: "not yet known"}[self.holds]
        number = "" if math.isnan(self.number) else f": {self.number:+.3f}"
        against = "" if math.isnan(self.number) or math.isnan(self.threshold) else f" against {self.threshold:+.3f}"
        return f"{outcome:13}  {self.says}{number}{against}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one world, or of one half-year: ``decision`` and the clauses it rests on."""

    world: str
    rule: str
    decision: Decision
    clauses: tuple[Clause, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join([f"{self.world}: {self.decision} (rule {self.rule})", *(f"  {c}" for c in self.clauses)])

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def read_rule(path: Path | None = None) -> Rule:
    """The rule of a TOML file; None = the packaged one. DataError names what is wrong in it."""
    place = resources.files("lakemedelsmodell.simulations").joinpath("verdict.toml") if path is None else path
    return read_checked(Rule, place,
                        f"There is no rule {path}. Give a TOML file, or leave it out for the packaged rule.",
                        "Compare with the packaged simulations/verdict.toml.")


def judge(rule: Rule, measures: Sequence[Measures], groups: Sequence[Groups], *, world: str,
          manipulation: ManipulationFinding | None = None) -> Verdict:
    """Apply ``rule`` to the draws of one world, or to one half-year.

    A region has one half-year, so that Δ's interval is that of one half-year (BCa over centres), its ends averaged over
    draws. What only a simulation knows (pass-through) and what is a mean (groups) gets the interval of its mean over
    draws; with one, pass-through that over centres, and a group's distance stands as it is.

    Parameters
    ----------
    measures, groups : one mapping per draw, in the same order; a clause leaves out the draws in which a model of its
        own could not be paid, and says how many
    world : what is judged, by name
    manipulation : None: not played
    """
    clauses = (*_spread(rule.spread, measures), _pass_through(rule.pass_through, measures),
               _groups(rule.groups, groups), _manipulation(rule.manipulation, manipulation))
    outcomes = [c.holds for c in clauses]
    decision: Decision = "against" if False in outcomes else "undecided" if None in outcomes else "for"
    return Verdict(world, rule.name, decision, clauses)


def judge_results(rule: Rule, results: Mapping[str, Any], *, world: str,
                  manipulation: ManipulationFinding | None = None) -> Verdict:
    """:func:`judge` for one half-year as results.json has it; without a truth, pass-through is not yet known."""
    measures: dict[str, dict[str, float]] = {}
    for c in results["contrasts"]:
        measures.setdefault(c["model"], {}).update(
            {f"{name}.{c['against']}": _number(c[name]) for name in ("log_sd_ratio", "ci_low", "ci_high")}
            | {f"{name}.{c['against']}": _number(c[name])
               for name in ("pass_through_change", "pass_through_change_low") if c.get(name) is not None})
    groups: dict[str, dict[str, float]] = {}
    for model, of in results["models"].items():
        for group, found in of["predictive_ratios"].items():
            groups.setdefault(group, {"persons": _number(found["persons"])})[model] = _number(
                found["under_compensation_sek"])
    return judge(rule, [measures], [groups], world=world, manipulation=manipulation)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _values(measures: Sequence[Measures], model: str, *names: str) -> list[np.ndarray]:
    """Each measure over the draws the model was paid in; of one draw of nothing where it never was."""
    paid = [m[model] for m in measures if names[0] in m.get(model, {})]
    return [np.array([of.get(name, math.nan) for of in paid or [{}]], dtype=float) for name in names]


def _paid_in(found: np.ndarray, measures: Sequence[Measures]) -> str:
    return "" if len(found) == len(measures) else f", {len(found)} of {len(measures)} draws"


def _spread(clause: SpreadClause, measures: Sequence[Measures]) -> list[Clause]:
    found = []
    for model, against in clause.pairs:
        deltas, highs = _values(measures, model, f"log_sd_ratio.{against}", f"ci_high.{against}")
        delta, high = float(deltas.mean()), float(highs.mean())
        known = not math.isnan(high)
        found.append(Clause(
            f"spread.{model}", f"{model} brings centres closer than {against}: upper 95 % limit of Δ", high,
            clause.below, high < clause.below if known else None,
            f"Δ {delta:+.3f}{_paid_in(deltas, measures)}" if known else "", LOG_RATIO))
    return found


def _pass_through(clause: PassThroughClause, measures: Sequence[Measures]) -> Clause:
    name = f"pass_through_change.{clause.against}"
    says = f"{clause.model} lets no less style through than {clause.against}: change of pass-through"
    if not any(name in m.get(clause.model, {}) for m in measures):
        return Clause("pass_through", says, math.nan, clause.margin, None, "only a simulation knows it", SHARE)
    change, low = _values(measures, clause.model, name, f"pass_through_change_low.{clause.against}")
    mean = float(change.mean())
    if math.isnan(mean):
        return Clause("pass_through", says, mean, clause.margin, None, "no style to let through", SHARE)
    half = half_width(change) if len(change) > 1 else mean - float(low[0])
    holds = True if mean - half > clause.margin else False if mean + half < clause.margin else None
    return Clause("pass_through", says, mean, clause.margin, holds,
                  f"95 % {mean - half:+.3f} to {mean + half:+.3f}{_paid_in(change, measures)}"
                  f"{', more replicates would tell' * (holds is None)}", SHARE)


def _groups(clause: GroupsClause, groups: Sequence[Groups]) -> Clause:
    """Fails where a group is surely (95 %, over draws) further off by more than allowed; not yet known where one is so
    on the mean of the draws alone."""
    found: list[tuple[float, float, tuple[str, str]]] = []
    for group in sorted(set.intersection(*(set(of) for of in groups))):
        of = [draw[group] for draw in groups]
        if not min(g["persons"] for g in of) >= clause.min_persons:
            continue
        for against_what, prefix in (("cost", ""), ("need", "need.")):
            model, against = (np.array([g.get(prefix + name, math.nan) for g in of], dtype=float)
                              for name in (clause.model, clause.against))
            # Of the mean over draws, lest luck count as distance.
            further = float(abs(model.mean()) - abs(against.mean()))
            if not math.isnan(further):
                surely = further - (half_width(model - against) if len(of) > 1 else 0.0)
                found.append((surely, further, (group, against_what)))
    says = f"no group ends further from its cost or need under {clause.model} than under {clause.against}, {SEK}"
    if not found:
        return Clause("groups", says, math.nan, clause.sek, None, f"no group of {clause.min_persons} persons", SEK)
    surely, worst, which = max(found)
    fails = surely > clause.sek
    if not fails:
        _, worst, which = max(found, key=lambda f: f[1])
    holds = False if fails else True if worst <= clause.sek else None
    return Clause("groups", says, worst, clause.sek, holds,
                  f"{which[0]} from its {which[1]}{', more replicates would tell' * (holds is None)}", SEK, *which)


def _manipulation(clause: ManipulationClause, found: ManipulationFinding | None) -> Clause:
    says = f"{clause.model} is not dominated: worst gain from manipulation, {SEK}"
    if found is None or found.model != clause.model:
        return Clause("manipulation", says, math.nan, math.nan, None, "manipulation has not been played", SEK)
    distance = "" if math.isnan(found.rmse_change) else f"RMSE to the ideal net {found.rmse_change:+.3f}"
    return Clause("manipulation", says, found.worst_gain, math.nan, found.non_dominated,
                  ", ".join(filter(None, (distance, found.detail))), SEK)


def half_width(values: np.ndarray, level: float = 0.95) -> float:
    """Half of the t interval of a mean over replicates."""
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / math.sqrt(n))
