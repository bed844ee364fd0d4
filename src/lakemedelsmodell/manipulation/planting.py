"""Manipulation planted in data whose truth is known: what share of the manipulating centres does an audit find?

A plant is any function of the four tables, the centres that manipulate and the effort η, that hands back the four
tables: the strategies of this package as well as :class:`StarterPacks` here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd

from lakemedelsmodell.manipulation.audit import FALSE_DISCOVERIES, audit_of, read_practice, windows
from lakemedelsmodell.manipulation.detection import power
from lakemedelsmodell.simulation.streams import Keyed

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes

    from lakemedelsmodell.conditions import ConditionSet

Tables = Mapping[str, "pa.Table"]
"""centres, persons, listings and dispensings, as ``Simulation.tables()`` gives them."""
Plant = Callable[[Tables, Collection[str], float], Tables]
"""(tables, ids of the manipulating centres, effort η in 0..1) → tables; effort 0 changes nothing."""


@dataclass(frozen=True)
class StarterPacks:
    """One pack of a condition's most dispensed code to a share η of the centre's persons who never had the condition.

    Attributes
    ----------
    conditions : ConditionSet
    groups : tuple of str
        Conditions played; each draws its persons for itself.
    days : tuple of (first, after last)
        When the packs are dispensed; any day with equal probability.
    youngest : int
        Persons born so many years before the first day, or more, are eligible.
    seed : int
        Whom, and when, by identity: more effort reaches the same persons and more.
    """

    conditions: ConditionSet
    groups: tuple[str, ...]
    days: tuple[date, date]
    youngest: int = 40
    seed: int = 0

    def __call__(self, tables: Tables, centres: Collection[str], effort: float) -> Tables:
        """The tables with the packs added; costs as the code's mean row, whatever the person's fees."""
        if not effort or not centres:
            return tables
        added = [self._rows(tables, centres, effort, name) for name in self.groups]
        return {**tables, "dispensings": _appended(tables["dispensings"], pd.concat(added, ignore_index=True))}

    def _rows(self, tables: Tables, centres: Collection[str], effort: float, name: str) -> pd.DataFrame:
        import pyarrow.compute as pc

        rows = tables["dispensings"]
        codes = [a for a in pc.unique(rows["atc"]).to_pylist() if a and self.conditions[name].matches(a)]
        mine = rows.filter(pc.is_in(rows["atc"].cast("string"), value_set=_text(codes))).to_pandas()
        model = mine[mine["atc"] == mine["atc"].mode().iloc[0]]
        persons = self._eligible(tables, centres, set(mine["person_id"]))
        chosen, when = (Keyed(f"{what} {name}", self.seed).uniform(persons["person_id"].to_numpy())
                        for what in ("starter pack", "day of starter pack"))
        given = persons[chosen < effort].reset_index(drop=True)
        first, end = self.days
        day = np.floor(when[chosen < effort] * (end - first).days).astype("timedelta64[D]")
        pack = model[["packages", "ddd", "cost", "gross_price"]].sum() / model["packages"].sum()
        return pd.DataFrame({
            "person_id": given["person_id"], "date": (np.datetime64(first) + day).astype("datetime64[s]"),
            "atc": model["atc"].iloc[0], "packages": 1, "ddd": round(float(pack["ddd"]), 2),
            "cost": round(float(pack["cost"]), 2), "gross_price": round(float(pack["gross_price"]), 2),
            "prescriber_centre_id": given["centre_id"].astype(str), "dose_dispensed": False,
            "in_base": bool(model["in_base"].iloc[0])})

    def _eligible(self, tables: Tables, centres: Collection[str], users: set[int]) -> pd.DataFrame:
        """Persons listed at the centres when the packs begin, old enough, who never had the condition."""
        import pyarrow.compute as pc

        first = np.datetime64(self.days[0])
        listings = tables["listings"]
        here = listings.filter(pc.is_in(listings["centre_id"].cast("string"), value_set=_text(centres))).to_pandas()
        start, end = (here[c].to_numpy(dtype="datetime64[D]") for c in ("start_date", "end_date"))
        here = here[(start <= first) & (np.isnat(end) | (end > first))]
        born = f"{self.days[0].year - self.youngest:04d}-{self.days[0].month:02d}"
        persons = tables["persons"].filter(pc.is_in(tables["persons"]["person_id"],
                                                    value_set=_numbers(here["person_id"]))).to_pandas()
        died = persons["death_date"].to_numpy(dtype="datetime64[D]")
        alive = persons[(np.isnat(died) | (died > np.datetime64(self.days[1]))) & (persons["birth_month"] <= born)]
        kept = here[here["person_id"].isin(alive["person_id"]) & ~here["person_id"].isin(users)]
        return kept[["person_id", "centre_id"]].sort_values("person_id")


def _text(values: Collection[str]) -> Any:
    import pyarrow as pa

    return pa.array(sorted(values), type=pa.string())


def _numbers(values: pd.Series) -> Any:
    import pyarrow as pa

    return pa.array(values.to_numpy(), type=pa.int64())


def _appended(rows: pa.Table, added: pd.DataFrame) -> pa.Table:
    """Rows with more rows of the same columns behind them."""
    import pyarrow as pa

    plain = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in rows.schema])
    more = pa.table({f.name: pa.array(added[f.name]).cast(f.type) for f in plain}, schema=plain)
    return pa.concat_tables([rows.cast(plain), more])


@dataclass(frozen=True, eq=False)
class PowerCurve:
    """What an audit finds as effort grows.

    ``frame``: effort, centres_planted, centres_found, power, cells_found, cells_false, false_share; one row per effort.
    ``cells_false`` are cells found that nobody planted.
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
        rows.append({"effort": effort, **power(found.found(), planted)})
    return PowerCurve(pd.DataFrame(rows), tuple(groups))


def first_half(months_seen: Sequence[date]) -> tuple[date, date]:
    """The days of the audit's later window from which there is half a window left to see who came back."""
    when = windows(months_seen)
    return when.after.start, when.listed_on
