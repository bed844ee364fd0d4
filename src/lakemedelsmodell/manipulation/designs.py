"""Defences as designs that compose: what the flags ask for, how they are paid, and what the money is closed to.

A design is a set of choices on top of a condition list. It yields a list of conditions (:meth:`Design.conditions_of`)
and says how flags become pay; amounts are then fitted under it like any other model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lakemedelsmodell.conditions import THRESHOLDS, Condition, ConditionSet
from lakemedelsmodell.data.toml_files import read_checked
from lakemedelsmodell.errors import UserError, unknown_name

CHEMICAL_SUBGROUP = 5
"""Characters of an ATC code that name the chemical subgroup (level 4)."""


class Design(BaseModel):
    """One way of paying; the defaults are the proposal, undefended, from a fixed budget.

    Attributes
    ----------
    name, says : str
    conditions : bool
        False: age and sex alone, as today.
    listed : bool
        The thresholds the condition list itself gives hold.
    base_only : bool
        What the condition list leaves out under its own rule does not count: drugs outside the base.
    min_dates, min_days_apart, min_ddd : of every condition, instead of the list's
    lookback_months : int
        6 or 12.
    exclude_multi_use : bool
        Chemical subgroups that are also dispensed for something the list does not count do not count.
    max_return : float or None
        No group's flag is to bring more than so many kronor per krona that qualifying costs the centre (1: no profit).
    over_max : "drop" or "cap"
        Groups that bring more are dropped, or their amount is cut to what is allowed.
    qualifying_cost : "full price" or "first purchase"
        What qualifying is taken to cost: the packs' price, or what the region pays of them for somebody who has
        bought nothing else, after the patient's fee.
    ladders : tuple of tuples of str
        Conditions, dearest first: each yields to those before it.
    merges : mapping of str → tuple of str
        Conditions that become one.
    cap : int or None
        So many of a person's conditions are paid, the dearest (1: the highest only).
    run_off : float or None
        Share paid of a flag that only the older half of the look-back holds up.
    rolling : bool
        Flags are read anew each month rather than once per half-year.
    by_days : "no", "pay" or "pay and cost"
        Listed days rather than the list on the 1st decide whose the pay is, and the cost; with "pay" cost goes by its
        date.
    pool_threshold : float or None
        SEK of a person's cost in half a year above which the region pays, from the same budget.
    growth_cap : float or None
        By what share of the budget reimbursement may grow by play; 0 is a fixed budget, None an open-ended one.
    borne_by : "listing" or "prescriber"
        Whether a centre bears what others, such as hospitals, prescribe to its listed.
    review : float
        Share of what is gained by shedding persons or withholding drugs that a review finds and takes back. [assumed]
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    says: str = ""
    conditions: bool = True
    listed: bool = False
    base_only: bool = False
    min_dates: int | None = Field(None, ge=1, le=12)
    min_days_apart: int | None = Field(None, ge=0, le=300)
    min_ddd: float | None = Field(None, ge=0, le=2000)
    lookback_months: Literal[6, 12] = 12
    exclude_multi_use: bool = False
    max_return: float | None = Field(None, gt=0)
    over_max: Literal["drop", "cap"] = "drop"
    qualifying_cost: Literal["full price", "first purchase"] = "full price"
    ladders: tuple[tuple[str, ...], ...] = ()
    merges: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    cap: int | None = Field(None, ge=1)
    run_off: float | None = Field(None, ge=0, le=1)
    rolling: bool = False
    by_days: Literal["no", "pay", "pay and cost"] = "no"
    pool_threshold: float | None = Field(None, gt=0)
    growth_cap: float | None = Field(0.0, ge=0)
    borne_by: Literal["listing", "prescriber"] = "listing"
    review: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _one_way_to_fade(self) -> Design:
        if self.rolling and self.run_off is not None:
            raise ValueError("rolling flags fade by themselves: leave run_off out")
        return self

    @property
    def model(self) -> str:
        """Name of the model it is a version of, as in results."""
        if not self.conditions:
            return "age_sex" if self.pool_threshold is None else "age_sex_pool"
        plain = Design(name=self.name, says=self.says, growth_cap=self.growth_cap, borne_by=self.borne_by)
        return "chronic" if self == plain else "chronic_defended"

    @property
    def rule(self) -> Literal["dispensed", "listed"]:
        """Whether thresholds hold (``listed``) or one dispensing is enough."""
        asked = (self.min_dates, self.min_days_apart, self.min_ddd)
        return "listed" if self.listed or any(asked) else "dispensed"

    def conditions_of(self, listed: ConditionSet, codes: Sequence[str], dropped: frozenset[str] = frozenset()
                      ) -> ConditionSet:
        """The condition list under this design; ``dropped`` are still found, so that ladders stand, but not reported.

        Raises UserError where the design names conditions that the list has not.
        """
        if not self.conditions:
            return ConditionSet("none", ())
        merged = {old: new for new, olds in self.merges.items() for old in olds}
        for name in (*merged, *(n for ladder in self.ladders for n in ladder if n not in self.merges)):
            if name not in {c.name for c in listed.conditions}:
                raise unknown_name(f"condition of the design {self.name}", name, listed.names)
        found = [self._limited(c) for c in listed.conditions if c.name not in merged]
        for new, olds in self.merges.items():
            parts = [listed[old] for old in olds]
            found.append(self._limited(replace(
                parts[0], name=new, label_sv=" / ".join(p.label("sv") for p in parts),
                label_en=" / ".join(p.label("en") for p in parts),
                include=tuple(dict.fromkeys(code for p in parts for code in p.include)),
                exclude=tuple(code for p in parts for code in p.exclude
                              if not any(o.matches(code) for o in parts)),
                exclude_listed=tuple(dict.fromkeys(code for p in parts for code in p.exclude_listed)), yields_to=())))
        above = {name: ladder[:i] for ladder in self.ladders for i, name in enumerate(ladder)}

        def under_design(c: Condition) -> Condition:
            yields = dict.fromkeys(merged.get(y, y) for y in (*c.yields_to, *above.get(c.name, ())))
            exclude = (*c.exclude, *_multi_use(c, listed, codes)) if self.exclude_multi_use else c.exclude
            return replace(c, yields_to=tuple(y for y in yields if y != c.name), exclude=exclude,
                           requires=tuple(merged.get(r, r) for r in c.requires),
                           marker_only=c.marker_only or c.name in dropped)

        return replace(listed, name=f"{listed.name}:{self.name}", conditions=tuple(map(under_design, found)))

    def _limited(self, c: Condition) -> Condition:
        given = {"min_dates": self.min_dates, "min_days_apart": self.min_days_apart, "min_ddd": self.min_ddd}
        kept = {t: getattr(c, t) if self.listed else None for t in THRESHOLDS}
        limits: dict[str, Any] = kept | {t: v for t, v in given.items() if v is not None}
        exclude = (*c.exclude, *c.exclude_listed) if self.base_only else c.exclude
        return replace(c, exclude=exclude, exclude_listed=(), **limits) if c.include else c


@lru_cache(maxsize=64)
def multi_use_codes(listed: ConditionSet, codes: tuple[str, ...]) -> dict[str, list[str]]:
    """Condition → codes in the data that it does not count, nor any other, though their chemical subgroup has some
    that it counts: the same kind of drug, taken for something else."""
    loose = [code for code in codes if not any(c.matches(code) for c in listed.conditions)]
    found = {}
    for c in listed.conditions:
        kinds = {code[:CHEMICAL_SUBGROUP] for code in codes if c.matches(code) and len(code) > CHEMICAL_SUBGROUP}
        if also := [code for code in loose if code[:CHEMICAL_SUBGROUP] in kinds]:
            found[c.name] = also
    return found


def _multi_use(c: Condition, listed: ConditionSet, codes: Sequence[str]) -> tuple[str, ...]:
    loose = multi_use_codes(listed, tuple(codes)).get(c.name, [])
    return tuple(dict.fromkeys(code[:CHEMICAL_SUBGROUP] for code in loose))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    design: tuple[Design, ...]

    @model_validator(mode="after")
    def _names_once(self) -> _File:
        names = [d.name for d in self.design]
        if twice := [n for n in names if names.count(n) > 1]:
            raise ValueError(f"the name {twice[0]} is given twice")
        return self


TODAY, PROPOSAL = "today", "proposal"
"""The two designs every other is held against; a file that lacks them is played beside the packaged ones."""
DEFENDED = "base_cut_pooled"
"""The packaged design that the model ``chronic_defended`` of evaluate and study pays."""


def read_designs(path: Path | None = None) -> tuple[Design, ...]:
    """Designs of a TOML file (tables ``[[design]]``), today and the proposal first; the packaged ones without a path.

    Raises DataError with every key that is wrong, UserError without the file.
    """
    place = files("lakemedelsmodell.simulations") / "designs.toml" if path is None else path
    found = read_checked(_File, place, f"There is no file of designs {path}.",
                         f"Known keys of a [[design]]: {', '.join(Design.model_fields)}.").design
    if not found:
        raise UserError(f"{path} holds no [[design]].")
    first = [next((d for d in found if d.name == name), given)
             for name, given in ((TODAY, Design(name=TODAY, conditions=False)), (PROPOSAL, Design(name=PROPOSAL)))]
    return (*first, *(d for d in found if d.name not in (TODAY, PROPOSAL)))
