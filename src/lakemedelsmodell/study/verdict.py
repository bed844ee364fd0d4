"""The verdict, by a rule that was fixed beforehand: each clause with its number, its threshold and its outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lakemedelsmodell.evaluation import read_checked
from lakemedelsmodell.study.replicate import Replicate

Decision = Literal["for", "against", "undecided"]


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
class Clause:
    """One clause.

    Attributes
    ----------
    name, says : str
    number, threshold : float
        nan where it cannot be known yet.
    holds : bool or None
        None: not yet known.
    detail : str
    """

    name: str
    says: str
    number: float
    threshold: float
    holds: bool | None
    detail: str = ""

    def __str__(self) -> str:
        outcome = {True: "holds", False: "FAILS", None: "not yet known"}[self.holds]
        number = "" if math.isnan(self.number) else f": {self.number:+.3f} against {self.threshold:+.3f}"
        return f"{outcome:13}  {self.says}{number}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one world: ``decision`` and the clauses it rests on."""

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


def judge(rule: Rule, replicates: Sequence[Replicate]) -> Verdict:
    """Apply ``rule`` to the replicates of one world.

    A region has one half-year, so that Δ's interval is that of one half-year (BCa over centres), its ends averaged over
    replicates. What only a simulation knows (pass-through) and what is a mean (groups) gets the interval of its mean
    over replicates; with one replicate, the interval over centres.
    """
    clauses = (*_spread(rule.spread, replicates), _pass_through(rule.pass_through, replicates),
               _groups(rule.groups, replicates), _manipulation(rule.manipulation))
    outcomes = [c.holds for c in clauses]
    decision: Decision = "against" if False in outcomes else "undecided" if None in outcomes else "for"
    return Verdict(replicates[0].world, rule.name, decision, clauses)


def _values(replicates: Sequence[Replicate], model: str, measure: str) -> np.ndarray:
    return np.array([r.measures.get(model, {}).get(measure, np.nan) for r in replicates], dtype=float)


def _spread(clause: SpreadClause, replicates: Sequence[Replicate]) -> list[Clause]:
    found = []
    for model, against in clause.pairs:
        delta, high = (float(_values(replicates, model, f"{m}.{against}").mean()) for m in ("log_sd_ratio", "ci_high"))
        known = not math.isnan(high)
        found.append(Clause(
            f"spread.{model}", f"{model} brings centres closer than {against}: upper 95 % limit of Δ", high,
            clause.below, high < clause.below if known else None, f"Δ {delta:+.3f}" if known else ""))
    return found


def _pass_through(clause: PassThroughClause, replicates: Sequence[Replicate]) -> Clause:
    change = _values(replicates, clause.model, f"pass_through_change.{clause.against}")
    mean = float(change.mean())
    half = (half_width(change) if len(change) > 1 else
            mean - float(_values(replicates, clause.model, f"pass_through_change_low.{clause.against}")[0]))
    says = f"{clause.model} lets no less style through than {clause.against}: change of pass-through"
    if math.isnan(mean):
        return Clause("pass_through", says, mean, clause.margin, None, "no style to let through")
    holds = True if mean - half > clause.margin else False if mean + half < clause.margin else None
    return Clause("pass_through", says, mean, clause.margin, holds,
                  f"95 % {mean - half:+.3f} to {mean + half:+.3f}{', more replicates would tell' * (holds is None)}")


def _groups(clause: GroupsClause, replicates: Sequence[Replicate]) -> Clause:
    """Fails where a group is surely (95 %, over replicates) further off by more than allowed."""
    worst, sure, which = math.nan, -math.inf, ""
    for group in set.intersection(*(set(r.groups) for r in replicates)):
        of = [r.groups[group] for r in replicates]
        if min(g["persons"] for g in of) < clause.min_persons:
            continue
        for against_what, prefix in (("cost", ""), ("need", "need.")):
            model, against = (np.array([g[prefix + name] for g in of]) for name in (clause.model, clause.against))
            # Of the mean over replicates, lest luck count as distance.
            further = float(abs(model.mean()) - abs(against.mean()))
            low = further - (half_width(model - against) if len(of) > 1 else 0.0)
            if low > sure:
                worst, sure, which = further, low, f"{group} from its {against_what}"
    known = bool(which)
    return Clause("groups", f"no group ends further from its cost or need under {clause.model} than under "
                  f"{clause.against}, SEK per listed month", worst, clause.sek,
                  sure <= clause.sek if known else None, which or f"no group of {clause.min_persons} persons")


def _manipulation(clause: ManipulationClause) -> Clause:
    return Clause("manipulation", f"{clause.model} is not dominated", math.nan, math.nan, None,
                  "manipulation has not been played")


def half_width(values: np.ndarray, level: float = 0.95) -> float:
    """Half of the t interval of a mean over replicates."""
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / math.sqrt(n))
