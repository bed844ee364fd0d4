"""Manipulation planted in data whose truth is known: what share of the manipulating centres does an audit find?

A plant is any function of the four tables, the centres that manipulate and the effort η, that hands back the four
tables: :class:`StarterPacks` for persons who never had a condition, :class:`TopUps` for users who fall short of a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np
import pandas as pd

from lakemedelsmodell.manipulation.audit import FALSE_DISCOVERIES, TESTS, audit_of, read_practice, windows
from lakemedelsmodell.manipulation.detection import power
from lakemedelsmodell.simulation.streams import Keyed

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes

    from lakemedelsmodell.conditions import Condition, ConditionSet

Tables = Mapping[str, "pa.Table"]
"""centres, persons, listings and dispensings, as ``Simulation.tables()`` gives them."""
Plant = Callable[[Tables, Collection[str], float], Tables]
"""(tables, ids of the manipulating centres, effort η in 0..1) → tables; effort 0 changes nothing."""


@dataclass(frozen=True)
class StarterPacks:
    """Packs of a condition's most dispensed code to a share η of the centre's persons who never had the condition.

    Attributes
    ----------
    conditions : ConditionSet
    groups : tuple of str
        Conditions played; each draws its persons for itself.
    days : tuple of (first, after last)
        When the packs are dispensed; any day with equal probability.
    rule : "dispensed" or "listed"
        One pack, or as many, on as many dates, as the list's thresholds ask.
    youngest : int
        Persons born so many years before the first day, or more, are eligible.
    seed : int
        Whom, and when, by identity: more effort reaches the same persons and more.
    """

    conditions: ConditionSet
    groups: tuple[str, ...]
    days: tuple[date, date]
    rule: Literal["dispensed", "listed"] = "dispensed"
    youngest: int = 40
    seed: int = 0

    def __call__(self, tables: Tables, centres: Collection[str], effort: float) -> Tables:
        """The tables with the packs added; costs as the code's mean row, whatever the person's fees."""
        return _planted(tables, self.groups if effort and centres else (),
                        lambda name: self._rows(tables, centres, effort, name))

    def _rows(self, tables: Tables, centres: Collection[str], effort: float, name: str) -> pd.DataFrame:
        mine = _dispensed(tables, self.conditions[name])
        model = mine[mine["atc"] == mine["atc"].mode().iloc[0]]
        persons = self._eligible(tables, centres, set(mine["person_id"]))
        chosen, when = (Keyed(f"{what} {name}", self.seed).uniform(persons["person_id"].to_numpy())
                        for what in ("starter pack", "day of starter pack"))
        given = persons[chosen < effort].reset_index(drop=True)
        first, end = self.days
        day = np.floor(when[chosen < effort] * (end - first).days).astype("timedelta64[D]")
        pack = model[["packages", "ddd", "cost", "gross_price"]].sum() / model["packages"].sum()
        rows = []
        for later, packs in self._series(name, float(pack["ddd"])):
            sums = {column: round(packs * float(pack[column]), 2) for column in ("ddd", "cost", "gross_price")}
            rows.append(pd.DataFrame({
                "person_id": given["person_id"], "date": (np.datetime64(first) + day + later).astype("datetime64[s]"),
                "atc": model["atc"].iloc[0], "packages": packs, **sums,
                "prescriber_centre_id": given["centre_id"].astype(str), "dose_dispensed": False,
                "in_base": bool(model["in_base"].iloc[0])}))
        return pd.concat(rows, ignore_index=True)

    def _series(self, name: str, ddd: float) -> list[tuple[int, int]]:
        """Days after the first, and packs of so many DDD on each."""
        c = self.conditions[name]
        if self.rule == "dispensed":
            return [(0, 1)]
        dates = max(c.min_dates or 1, 2 if c.min_days_apart else 1)
        packs = max(dates, math.ceil((c.min_ddd or 0) / ddd))
        return [(math.ceil(j * (c.min_days_apart or dates) / max(dates - 1, 1)), packs // dates + (j < packs % dates))
                for j in range(dates)]

    def _eligible(self, tables: Tables, centres: Collection[str], users: set[int]) -> pd.DataFrame:
        """Persons listed at the centres when the packs begin, old enough, who never had the condition."""
        import pyarrow.compute as pc

        here = _listed(tables, centres, self.days[0])
        born = f"{self.days[0].year - self.youngest:04d}-{self.days[0].month:02d}"
        persons = tables["persons"].filter(pc.is_in(tables["persons"]["person_id"],
                                                    value_set=_numbers(here["person_id"]))).to_pandas()
        died = persons["death_date"].to_numpy(dtype="datetime64[D]")
        alive = persons[(np.isnat(died) | (died > np.datetime64(self.days[1]))) & (persons["birth_month"] <= born)]
        kept = here[here["person_id"].isin(alive["person_id"]) & ~here["person_id"].isin(users)]
        return kept[["person_id", "centre_id"]].sort_values("person_id")


@dataclass(frozen=True)
class TopUps:
    """A share η of the users who fall short of a condition's DDD get what they lack, in packs of the code they take.

    Their sums end just above the threshold: what bunching looks for. A year's user may fall short by one pack.

    Attributes
    ----------
    conditions : ConditionSet
    groups : tuple of str
        Conditions played, with a ``min_ddd``.
    window : tuple of (first, after last)
        What is dispensed in it counts; the packs fall in its last sixty days.
    seed : int
    """

    conditions: ConditionSet
    groups: tuple[str, ...]
    window: tuple[date, date]
    seed: int = 0

    def __call__(self, tables: Tables, centres: Collection[str], effort: float) -> Tables:
        """The tables with the packs added; costs as the last purchase's, whatever the person's fees."""
        return _planted(tables, self.groups if effort and centres else (),
                        lambda name: self._rows(tables, centres, effort, name))

    def _rows(self, tables: Tables, centres: Collection[str], effort: float, name: str) -> pd.DataFrame:
        first, end = (np.datetime64(day) for day in self.window)
        mine = _dispensed(tables, self.conditions[name])
        day = mine["date"].to_numpy(dtype="datetime64[D]")
        mine = mine[(day >= first) & (day < end)].sort_values(["person_id", "date", "atc"])
        here = _listed(tables, centres, self.window[1] - timedelta(days=1))
        mine = mine[mine["person_id"].isin(here["person_id"]) & (mine["packages"] > 0) & (mine["ddd"] > 0)]
        had = mine.groupby("person_id")["ddd"].sum()
        last = mine.groupby("person_id").tail(1).set_index("person_id")
        person = last.index.to_numpy()
        chosen, when = (Keyed(f"{what} {name}", self.seed).uniform(person) for what in ("top-up", "day of top-up"))
        lacks = (self.conditions[name].min_ddd or 0) - had.loc[person].to_numpy()
        on = (lacks > 0) & (chosen < effort)
        last, packs = last[on], np.ceil(lacks[on] * last[on]["packages"] / last[on]["ddd"])
        share = packs / last["packages"]
        return last.assign(
            packages=packs.astype(np.int64), date=(end - 1 - np.floor(60 * when[on]).astype("timedelta64[D]")).astype(
                "datetime64[s]"), dose_dispensed=False,
            **{column: (last[column] * share).round(2) for column in ("ddd", "cost", "gross_price")}).reset_index()


def _dispensed(tables: Tables, condition: Condition) -> pd.DataFrame:
    """All rows of a condition's codes."""
    import pyarrow.compute as pc

    rows = tables["dispensings"]
    codes = [a for a in pc.unique(rows["atc"]).to_pylist() if a and condition.matches(a)]
    return rows.filter(pc.is_in(rows["atc"].cast("string"), value_set=_text(codes))).to_pandas()


def _listed(tables: Tables, centres: Collection[str], on: date) -> pd.DataFrame:
    """Listings at some centres on a day."""
    import pyarrow.compute as pc

    listings, day = tables["listings"], np.datetime64(on)
    here = listings.filter(pc.is_in(listings["centre_id"].cast("string"), value_set=_text(centres))).to_pandas()
    start, end = (here[c].to_numpy(dtype="datetime64[D]") for c in ("start_date", "end_date"))
    return here[(start <= day) & (np.isnat(end) | (end > day))]


def _text(values: Collection[str]) -> Any:
    import pyarrow as pa

    return pa.array(sorted(values), type=pa.string())


def _numbers(values: pd.Series) -> Any:
    import pyarrow as pa

    return pa.array(values.to_numpy(), type=pa.int64())


def _planted(tables: Tables, groups: Sequence[str], packs: Callable[[str], pd.DataFrame]) -> Tables:
    """The tables with the packs of every group added to the dispensings."""
    if not groups:
        return tables
    added = pd.concat(list(map(packs, groups)), ignore_index=True)
    return {**tables, "dispensings": _appended(tables["dispensings"], added)}


def _appended(rows: pa.Table, added: pd.DataFrame) -> pa.Table:
    """Rows with more rows of the same columns behind them."""
    import pyarrow as pa

    plain = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in rows.schema])
    more = pa.table({f.name: pa.array(added[f.name]).cast(f.type) for f in plain}, schema=plain)
    return pa.concat_tables([rows.cast(plain), more])


@dataclass(frozen=True, eq=False)
class PowerCurve:
    """What an audit finds as effort grows.

    ``frame``: effort, centres_planted, centres_found, power, cells_found, cells_false, false_share and, test by test,
    the power of it alone (``by_change``, ``by_stopping``, ``by_bunching``); one row per effort. ``cells_false`` are
    cells found that nobody planted.
    """

    frame: pd.DataFrame
    groups: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        return self.frame

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Share of manipulating centres found against effort."""
        import matplotlib.pyplot as plt

        axes: Axes = plt.subplots()[1] if ax is None else ax
        axes.plot(100 * self.frame["effort"], 100 * self.frame["power"], marker="o", label=", ".join(self.groups))
        axes.set(xlabel="effort, % of eligible persons", ylabel="manipulating centres found, %", ylim=(-3, 103))
        axes.legend()
        return axes

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False, float_format=lambda v: f"{v:.3g}")


def power_curve(tables: Tables, plant: Plant, groups: Sequence[str], efforts: Sequence[float],
                conditions: ConditionSet, *, played_by: float = 0.1, seed: int = 0,
                false_discoveries: float = FALSE_DISCOVERIES,
                progress: Callable[[str], Any] | None = None) -> PowerCurve:
    """Plant, audit, count: share of manipulating centres found at each effort.

    Parameters
    ----------
    tables : of an untouched world
    plant : see :data:`Plant`
    groups : conditions the plant touches; cells found elsewhere count as false
    efforts : η, 0 to 1
    played_by : share of centres that manipulate, drawn by identity and ``seed``
    """
    from lakemedelsmodell.data.tables import HalfYear

    say = progress or (lambda _: None)
    names = np.array(tables["centres"]["centre_id"].to_pylist())
    drawn = Keyed("manipulating centres", seed).uniform(np.array([crc32(n.encode()) for n in names]))
    players = sorted(names[np.argsort(drawn)[:max(round(played_by * len(names)), 1)]])
    rows = []
    for number, effort in enumerate(efforts, 1):
        say(f"auditing effort {number} of {len(efforts)}")
        half_year = HalfYear.from_frames(**plant(tables, players, effort))
        found = audit_of(read_practice(half_year, conditions), conditions, false_discoveries=false_discoveries)
        played = found.centres["centre_id"].isin(players).to_numpy()
        planted = played[:, None] & np.isin(conditions.names, list(groups)) & (effort > 0)
        alone = {f"by_{test}": power(q <= false_discoveries, planted)["power"]
                 for test, q in zip(TESTS, found.q, strict=True)}
        rows.append({"effort": effort, **power(found.found(), planted), **alone})
    return PowerCurve(pd.DataFrame(rows), tuple(groups))


def first_half(months_seen: Sequence[date]) -> tuple[date, date]:
    """The days of the audit's later window from which there is half a window left to see who came back."""
    when = windows(months_seen)
    return when.after.start, when.listed_on
