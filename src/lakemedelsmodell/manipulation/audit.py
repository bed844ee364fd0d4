"""Which centres a reviewer should visit, for which groups, and what to look at there.

Two windows of equal length are compared: the last twelve months of the data and the twelve before. Three tests name
cells of centre × group; a fourth, of levels, is only shown: where legitimate practice varies by a sixth a level proves
nothing, and levels persist. So changes are audited.

- **change**: persons without the group in the window before who have it now, against the region's share in their age
  and sex and the centre's own earlier level;
- **stopping**: of those new, who never came back within :data:`GRACE_DAYS` of the first dispensing, though there was
  half a window to do so: a starter pack and nothing more;
- **bunching**: users whose DDD lie within one pack above the threshold of the group's rule, where a sum that is topped
  up to reach it ends, against the share the year before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell import facts
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.errors import DataError, Problem
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.manipulation.detection import (
    Funnel,
    detectable,
    false_discovery,
    funnel,
    proportion,
    same_level,
    standardised,
    usual,
)
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.palette import INK, OTHER_COLOUR, TODAY_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lakemedelsmodell.amounts import AmountTable
    from lakemedelsmodell.data.tables import HalfYear

WINDOW_MONTHS = 12
LEAST_MONTHS = 6
"""Months in each window without which changes cannot be told from seasons."""
GRACE_DAYS = 30
"""Fills of one course may be spread over so many days from the first."""
FALSE_DISCOVERIES = 0.05
PAID_MONTHS = 12
"""A dispensing lies in the look-backs of two half-years."""

TESTS = ("change", "stopping", "bunching")
"""The tests that name centres; ``level`` is shown beside them."""

LOOK_AT = {
    "change": {
        "sv": "Dra ett urval av de nya: finns indikation, provsvar och uppföljning i journalen, och vem inledde?",
        "en": "Draw a sample of the new ones: do the records show an indication, test results and follow-up, and who "
              "started?"},
    "stopping": {
        "sv": "Dra ett urval av dem som bara hämtat ut en gång: var en fortsättning avsedd, och varför uteblev den?",
        "en": "Draw a sample of those with a single dispensing: was a continuation meant, and why did it not come?"},
    "bunching": {
        "sv": "Se på sista uttaget före gränsen: ändrades förpackning, dos eller datum utan medicinskt skäl?",
        "en": "Look at the last dispensing before the threshold: did pack, dose or date change without a medical "
              "reason?"},
}
"""What a reviewer should look at, per test and language."""


@dataclass(frozen=True)
class Windows:
    """What is compared: ``before`` and ``after``, equally long, that touch; ``listed_on`` says who belongs where."""

    before: Period
    after: Period
    listed_on: date


def windows(months_seen: Sequence[date]) -> Windows:
    """The last twelve months and the twelve before, less where the data are shorter.

    Raises DataError where there are not six months for each.
    """
    months = Period(months_seen[0], add_months(months_seen[-1], 1))
    length = min(WINDOW_MONTHS, months.n_months // 2)
    if length < LEAST_MONTHS:
        raise DataError(Problem("dispensings", f"{months.n_months} months are too few to tell a change from a season",
                                f"Give at least {2 * LEAST_MONTHS} months of dispensings, at best "
                                f"{2 * WINDOW_MONTHS}."))
    after = Period(add_months(months.end, -length), months.end)
    return Windows(after.before(length), after, add_months(after.start, length // 2))


@dataclass(frozen=True, eq=False)
class Practice:
    """Who was dispensed what, ready to be tested; persons are those listed on one day.

    Attributes
    ----------
    centres : DataFrame, K rows
    groups : tuple of str, length C
    thresholds, pack_ddd : float64, shape (C,)
        DDD of the group's rule, nan without; and of its mean pack in the window before.
    centre, cell : int64, shape (n,)
        Centre and age × sex cell of each person.
    known_before : bool, shape (n,)
        Listed when the window before began too: others would all look new.
    person, group : int64, shape (m,)
        A person × group with dispensings in either window (person is the row in ``centre``).
    before, after : bool, shape (m,)
        In which.
    ddd_before, ddd_after : float64, shape (m,)
    first, last : datetime64[D], shape (m,)
        In the window after; NaT without.
    """

    windows: Windows
    centres: pd.DataFrame
    groups: tuple[str, ...]
    thresholds: np.ndarray
    pack_ddd: np.ndarray
    centre: np.ndarray
    cell: np.ndarray
    known_before: np.ndarray
    person: np.ndarray
    group: np.ndarray
    before: np.ndarray
    after: np.ndarray
    ddd_before: np.ndarray
    ddd_after: np.ndarray
    first: np.ndarray
    last: np.ndarray


def read_practice(half_year: HalfYear, conditions: ConditionSet, *,
                  progress: Callable[[str], Any] | None = None) -> Practice:
    """Read the two windows of a half-year's data. Conditions made of others alone have no dispensings to audit.

    Raises DataError as :func:`windows`.
    """
    from lakemedelsmodell.data.flags import build_cohort, code_summary, read_marks

    say = progress or (lambda _: None)
    when = windows(half_year.months_seen)
    nothing = ConditionSet("none", ())

    def listed(day: date) -> Any:
        month = Period(day, add_months(day, 1))
        return build_cohort(half_year, month, nothing, lookback=when.before, rules=())

    say("who is listed where")
    now, earlier = listed(when.listed_on), listed(when.before.start)
    there = now.months > 0
    person = now.person[there]
    row = np.full(int(half_year.persons.count().execute()), -1, dtype=np.int64)
    row[person] = np.arange(len(person))
    C, marks = len(conditions.names), []
    for window in (when.before, when.after):
        say(f"dispensings of {window}")
        found = read_marks(half_year, (window.start, window.end), conditions)
        listed_rows = row[found["person"]] >= 0
        found = {name: values[listed_rows] for name, values in found.items()}
        marks.append((row[found["person"]] * C + found["condition"], found))
    key = np.union1d(marks[0][0], marks[1][0])
    codes = code_summary(half_year, (when.before.start, when.before.end))
    sums = np.array([codes.loc[codes["atc"].map(conditions[name].matches).astype(bool), ["ddd", "packages"]].sum()
                     for name in conditions.names]).reshape(-1, 2)

    def placed(which: int, name: str, empty: Any) -> np.ndarray:
        at, found = marks[which]
        values = np.full(len(key), empty, dtype=found[name].dtype)
        values[np.searchsorted(key, at)] = found[name]
        return values

    return Practice(
        windows=when, centres=half_year.centres_frame, groups=conditions.names,
        thresholds=np.array([conditions[name].min_ddd or np.nan for name in conditions.names], dtype=float),
        pack_ddd=np.divide(sums[:, 0], sums[:, 1], out=np.full(C, np.nan), where=sums[:, 1] > 0),
        centre=now.centre[there].astype(np.int64), cell=now.cell[there],
        known_before=np.isin(person, earlier.person[earlier.months > 0]),
        person=key // C, group=key % C,
        before=np.isin(key, marks[0][0]), after=np.isin(key, marks[1][0]),
        ddd_before=placed(0, "ddd", 0.0), ddd_after=placed(1, "ddd", 0.0),
        first=placed(1, "first", np.datetime64("NaT")), last=placed(1, "last", np.datetime64("NaT")))


Counts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Persons observed and expected at each centre, the variance by chance and out of how many, (K,) each."""


@dataclass(frozen=True, eq=False)
class Users:
    """Who of a :class:`Practice` was dispensed the drugs of one group, number ``group``.

    Attributes
    ----------
    person : int64, shape (u,)
        Persons with dispensings in either window.
    before, after : bool, shape (u,)
        In which.
    ddd_before, ddd_after : float64, shape (u,)
    first, last : datetime64[D], shape (u,)
        In the window after; NaT without.
    """

    practice: Practice
    group: int
    person: np.ndarray
    before: np.ndarray
    after: np.ndarray
    ddd_before: np.ndarray
    ddd_after: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, practice: Practice, group: int) -> Users:
        mine = practice.group == group
        return cls(practice, group, *(getattr(practice, name)[mine] for name in (
            "person", "before", "after", "ddd_before", "ddd_after", "first", "last")))

    def among_all(self, users: np.ndarray) -> np.ndarray:
        """A mask of users, (u,), as one of all persons, (n,)."""
        found = np.zeros(len(self.practice.centre), dtype=bool)
        found[self.person[users]] = True
        return found

    def standardised(self, users: np.ndarray, among: np.ndarray | slice = slice(None)) -> Counts:
        """Users, a mask of all persons, against what the region's age and sex lead to expect, ``among`` some of all."""
        p = self.practice
        return standardised(p.centre[among], p.cell[among], users[among], len(p.centres), N_CELLS)

    def by_centre(self, users: np.ndarray) -> np.ndarray:
        """How many of a mask of users, (u,), each centre has, float64, shape (K,)."""
        p = self.practice
        return np.bincount(p.centre[self.person[users]], minlength=len(p.centres)).astype(float)


def count_level(of: Users) -> Counts:
    """Users in the window after, whoever they were before."""
    return of.standardised(of.among_all(of.after))


def count_change(of: Users) -> Counts:
    """New users among those without the group before, expected at the level their centre had then."""
    known, had_before = of.practice.known_before, of.among_all(of.before)
    before, expected_before, _, _ = of.standardised(had_before, known)
    new, expected, chance, n = of.standardised(of.among_all(of.after), known & ~had_before)
    adjusted = same_level(expected, before, expected_before)
    with np.errstate(divide="ignore", invalid="ignore"):
        return new, adjusted, np.where(expected > 0, chance / expected, 0) * adjusted, n


def count_stopping(of: Users) -> Counts:
    """Of the new users of the first half, those whose dispensings all lie within :data:`GRACE_DAYS` of the first."""
    half = np.datetime64(of.practice.windows.listed_on)
    early = of.after & ~of.before & of.practice.known_before[of.person] & (of.first < half)
    gone = early & (of.last <= of.first + np.timedelta64(GRACE_DAYS, "D"))
    started, stopped = of.by_centre(early), of.by_centre(gone)
    return stopped, *proportion(started, stopped.sum() / max(started.sum(), 1)), started


def count_bunching(of: Users) -> Counts:
    """Users whose DDD of a year lie less than a pack above the threshold, against the share of the year before; nobody
    where there are no whole years or no threshold."""
    p = of.practice
    threshold, pack = p.thresholds[of.group], p.pack_ddd[of.group]
    if p.windows.after.n_months != WINDOW_MONTHS or not (threshold > 0 and pack > 0):
        nobody = np.zeros(len(p.centres))
        return nobody, nobody, nobody, nobody
    was, now = (user & (ddd >= threshold) & (ddd < threshold + pack)
                for user, ddd in ((of.before, of.ddd_before), (of.after, of.ddd_after)))
    users = of.by_centre(of.after)
    return of.by_centre(now), *proportion(users, was.sum() / max(of.before.sum(), 1)), users


COUNTED: Mapping[str, Callable[[Users], Counts]] = {
    "level": count_level, "change": count_change, "stopping": count_stopping, "bunching": count_bunching}


def funnels_of(practice: Practice) -> dict[str, Funnel]:
    """The four funnels by name: ``level``, ``change``, ``stopping`` and, with whole years and thresholds, ``bunching``.
    """
    found: dict[str, list[Counts]] = {name: [] for name in COUNTED}
    for group in range(len(practice.groups)):
        users = Users.of(practice, group)
        for name, count in COUNTED.items():
            found[name].append(count(users))
    funnels = {name: funnel(name, practice.groups, *(np.stack(part, axis=1) for part in zip(*counts, strict=True)))
               for name, counts in found.items()}
    # Bunching is held against the year before, when all centres may have been innocent.
    return {name: f if name == "bunching" else usual(f) for name, f in funnels.items()}


def discoveries(funnels: Mapping[str, Funnel], tests: Sequence[str] = TESTS) -> np.ndarray:
    """q of every test × centre × group by Benjamini–Hochberg over all of them at once, shape (tests, K, C)."""
    return false_discovery(np.stack([funnels[name].p for name in tests]))


@dataclass(frozen=True, eq=False)
class Audit:
    """Which cells of centre × group a reviewer should look at, and how much could hide from the tests.

    Attributes
    ----------
    windows : Windows
    conditions : ConditionSet
    centres : DataFrame, K rows
    funnels : mapping from test to Funnel
    q : float64, shape (tests, K, C)
        As :func:`discoveries`.
    findings : DataFrame
        The list, most certain first: centre_id, name, condition, test, observed, expected, out_of (persons; out_of is
        nan where fewer than five are left beside those observed), excess, ratio, z, p, q, sek_at_stake (excess × the
        add-on × twelve months; nan without amounts), look_at_sv, look_at_en.
    hidden : int
        Cells found that describe fewer than five persons and are not listed.
    persons : int
        Listed persons in the tests.
    without_history : int
        Of them, not listed when the window before began: left out of ``change`` and ``stopping``.
    level : float
        False discovery rate allowed.
    add_ons : float64, shape (C,)
        SEK per listed month; nan where none is known.
    """

    windows: Windows
    conditions: ConditionSet
    centres: pd.DataFrame
    funnels: Mapping[str, Funnel]
    q: np.ndarray
    findings: pd.DataFrame
    hidden: int
    persons: int
    without_history: int
    level: float
    add_ons: np.ndarray

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests that could be made on these data."""
        return tuple(name for name in TESTS if not np.isnan(self.funnels[name].p).all())

    @property
    def tested(self) -> int:
        """Cells of test × centre × group."""
        return int((~np.isnan(self.q)).sum())

    @property
    def sek_at_stake(self) -> float:
        """Of the list, SEK: a centre's group counts once, by the test that says most; nan without amounts."""
        cells = self.findings.groupby(["centre_id", "condition"])["sek_at_stake"].max()
        return float(cells.sum(min_count=1))

    def found(self) -> np.ndarray:
        """Centre × group named by any test, bool, shape (K, C)."""
        return np.any(self.q <= self.level, axis=0)

    def to_frame(self) -> pd.DataFrame:
        return self.findings

    def sensitivity(self) -> pd.DataFrame:
        """How much could hide: per test and group, what a centre of median size must exceed to be named on its own.

        Columns test, condition, centres (tested), expected (persons, median centre), spread_percent (100 ψ),
        detectable_excess (persons beyond the expected, smallest that would be named were it the only one), as_share (of
        the persons looked at), sek_hidden (that excess × add-on × twelve months).
        """
        rows = []
        for name in self.tests:
            f = self.funnels[name]
            for c, group in enumerate(f.groups):
                tested = ~np.isnan(f.p[:, c])
                if not tested.any():
                    rows.append({"test": name, "condition": group, "centres": 0})
                    continue
                e, v, n = (float(np.median(x[tested, c])) for x in (f.expected, f.chance, f.out_of))
                beyond = detectable(e, v + (f.psi[c] * e) ** 2, self.level / self.tested) - e
                rows.append({"test": name, "condition": group, "centres": int(tested.sum()), "expected": e,
                             "spread_percent": 100 * f.psi[c], "detectable_excess": beyond,
                             "as_share": beyond / n if n else np.nan,
                             "sek_hidden": beyond * self.add_ons[c] * PAID_MONTHS})
        return pd.DataFrame(rows, columns=["test", "condition", "centres", "expected", "spread_percent",
                                           "detectable_excess", "as_share", "sek_hidden"])

    def results(self) -> dict[str, Any]:
        """What audit.json holds."""
        when = self.windows
        levels = self.funnels["level"]
        return {
            "windows": {"before": str(when.before), "after": str(when.after), "listed_on": when.listed_on},
            "condition_set": self.conditions.name, "false_discoveries": self.level, "tests": list(self.tests),
            "tests_left_out": [name for name in TESTS if name not in self.tests],
            "centres": len(self.centres), "persons": self.persons, "without_history": self.without_history,
            "cells_tested": self.tested, "cells_found": int((self.q <= self.level).sum()), "cells_hidden": self.hidden,
            "sek_at_stake": self.sek_at_stake,
            "findings": _records(self.findings), "sensitivity": _records(self.sensitivity()),
            "levels": [{"condition": g, "spread_percent": 100 * levels.psi[c]} for c, g in enumerate(levels.groups)],
        }

    def plot(self, test: str = "change", *, ax: Axes | None = None) -> Axes:
        """z of every cell with five persons or more against what was expected; those found are filled."""
        import matplotlib.pyplot as plt

        axes: Axes = plt.subplots()[1] if ax is None else ax
        f, q = self.funnels[test], self.q[TESTS.index(test)]
        shown = ~np.isnan(q) & (f.observed >= FEWEST_PERSONS)
        found = shown & (q <= self.level)
        axes.scatter(f.expected[shown & ~found], f.z[shown & ~found], s=12, facecolors="none", edgecolors=OTHER_COLOUR,
                     linewidths=0.8, alpha=0.5)
        axes.scatter(f.expected[found], f.z[found], s=34, color=TODAY_COLOUR)
        axes.axhline(0, color=INK, lw=0.9)
        axes.set(xscale="log", xlabel="expected persons", ylabel="z", title=test)
        return axes

    def _repr_html_(self) -> str:
        shown = self.findings.drop(columns=["look_at_sv", "look_at_en"])
        return (f"<p><b>Audit</b> {self.windows.after} against {self.windows.before}: {len(shown)} of {self.tested:,} "
                f"cells at {self.level:.0%} false discoveries.</p>"
                + shown.to_html(index=False, max_rows=20, float_format=lambda v: f"{v:,.2f}"))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def audit(half_year: HalfYear, conditions: ConditionSet, *, amounts: AmountTable | None = None,
          false_discoveries: float = FALSE_DISCOVERIES, progress: Callable[[str], Any] | None = None) -> Audit:
    """Test every centre × group of a half-year's data and list those to look at.

    ``amounts`` price the excess: the add-ons of a model of the same conditions, SEK per listed month.

    Raises DataError where the data hold fewer than twelve months.
    """
    return audit_of(read_practice(half_year, conditions, progress=progress), conditions, amounts=amounts,
                    false_discoveries=false_discoveries)


def audit_of(practice: Practice, conditions: ConditionSet, *, amounts: AmountTable | None = None,
             false_discoveries: float = FALSE_DISCOVERIES) -> Audit:
    """:func:`audit` of what has been read."""
    funnels = funnels_of(practice)
    q = discoveries(funnels)
    priced = amounts is not None and amounts.kind == "condition"
    add_ons = np.array([amounts.first_add_on(name) if amounts is not None and priced and name in amounts.conditions
                        else np.nan for name in practice.groups])
    found = pd.concat([_findings(funnels[name], q[t], practice, add_ons, false_discoveries)
                       for t, name in enumerate(TESTS)], ignore_index=True)
    shown = found[found["observed"] >= FEWEST_PERSONS].sort_values(
        ["q", "p", "centre_id", "condition", "test"], ignore_index=True)
    return Audit(practice.windows, conditions, practice.centres, funnels, q, shown, len(found) - len(shown),
                 len(practice.centre), int((~practice.known_before).sum()), false_discoveries, add_ons)


def _findings(f: Funnel, q: np.ndarray, practice: Practice, add_ons: np.ndarray, level: float) -> pd.DataFrame:
    k, c = np.nonzero(q <= level)
    observed, expected, out_of = f.observed[k, c], f.expected[k, c], f.out_of[k, c]
    few_left = (out_of - observed > 0) & (out_of - observed < FEWEST_PERSONS)
    return pd.DataFrame({
        "centre_id": practice.centres["centre_id"].to_numpy()[k], "name": practice.centres["name"].to_numpy()[k],
        "condition": np.array(f.groups, dtype=object)[c], "test": f.name, "observed": observed.astype(np.int64),
        "expected": expected, "out_of": np.where(few_left, np.nan, out_of), "excess": observed - expected,
        "ratio": observed / expected, "z": f.z[k, c], "p": f.p[k, c], "q": q[k, c],
        "sek_at_stake": (observed - expected) * add_ons[c] * PAID_MONTHS,
        "look_at_sv": LOOK_AT[f.name]["sv"], "look_at_en": LOOK_AT[f.name]["en"],
    })


def pricing(file: Path | None = None, model: str = "chronic") -> AmountTable:
    """The add-ons that price an excess: of an amounts file, else of the packaged reference run.

    Raises DataError for a file that cannot be read, UserError where it lacks the model.
    """
    from lakemedelsmodell.amounts import read_amounts

    return read_amounts(file or Path(facts.__file__).with_name("reference_amounts.csv"), model)
