"""How a simulated world lies to what is published and known, and the factors that make its level the published one.

``python -m lakemedelsmodell.simulation.calibration FILE.toml`` estimates the factors anew on the scenario's calibration
seed at full size and writes them into the file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.data.periods import HALF_YEAR, Period
from lakemedelsmodell.simulation.population import Persons

if TYPE_CHECKING:
    from lakemedelsmodell.simulation.prescribing import Calendar
    from lakemedelsmodell.simulation.world import Block, World

BANDS10 = (*(f"{a}-{a + 9}" for a in range(0, 90, 10)), "90+")
N10 = 2 * len(BANDS10)
FEWEST = 5
"""What describes fewer persons is left out of the report, drawn though they are: the pages treat all runs alike."""


def table_months(world: World) -> np.ndarray:
    """Numbers of the window's months that lie in the table's statistics period."""
    start = world.scenario.window.start
    months = Period.parse(world.scenario.calibration.table_period).months
    numbers = np.array([(m.year - start.year) * 12 + m.month - start.month for m in months])
    return numbers[(numbers >= 0) & (numbers < len(world.calendar.firsts))]


def listed_on(persons: Persons, calendar: Calendar, months: np.ndarray) -> np.ndarray:
    """Whether each person is listed on the 1st of each of ``months``, bool, shape (n, months)."""
    firsts = calendar.firsts[months]
    return (persons.enters[:, None] <= firsts) & (firsts < persons.leaves[:, None])


def cells_on(persons: Persons, first_month: int, months: np.ndarray) -> np.ndarray:
    """Age band × sex of each person on the 1st of each of ``months``, int64, shape (n, months)."""
    band = np.clip((first_month + months - persons.birth_month[:, None]) // 60, 0, 20)
    return band * 2 + persons.sex[:, None]


def table_cost(world: World, block: Block, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ``block`` that enter the table (base drugs, table months, listed on the 1st), and their öre."""
    f = block.fills
    month = world.calendar.month[f.day]
    counts = np.isin(month, table_months(world)) & world.drugs.in_base[f.substance]
    counts &= world.calendar.firsts[month] >= block.persons.enters[f.person]
    rows = np.flatnonzero(counts)
    return rows, region[rows]


@dataclass
class Tally:
    """Sums over persons that the report needs; added up centre by centre.

    Attributes
    ----------
    months, cost : float64, shape (42,)
        Listed months and öre of base drugs by cell over the table period.
    cost2, cost_months, months2 : float64, shape (42,)
        Sums over persons of squares and products, for standard errors with persons as clusters.
    users, expected : float64, shape (K, G, 20)
        By centre, group and sex × ten-year band, of those listed in the middle of the period: dispensed in it, and the
        sum of their probabilities at average practice.
    persons : float64, shape (K, 20)
    gross, gross_base, drug_users : float64, shape (G,)
        Öre of all and of base drugs, and users, in the table period.
    month_cost, month_gross : float64, shape (months,)
        Öre of base drugs.
    list_size : int64, shape (K,)
        On the 1st of the last half-year.
    rows : int
    person_cost : list of int64 arrays
        Öre of the table period per person listed in it.
    """

    months: np.ndarray
    cost: np.ndarray
    cost2: np.ndarray
    cost_months: np.ndarray
    months2: np.ndarray
    users: np.ndarray
    expected: np.ndarray
    persons: np.ndarray
    gross: np.ndarray
    gross_base: np.ndarray
    drug_users: np.ndarray
    month_cost: np.ndarray
    month_gross: np.ndarray
    list_size: np.ndarray
    rows: np.ndarray
    person_cost: list[np.ndarray]

    @classmethod
    def of(cls, world: World, block: Block, gross: np.ndarray, region: np.ndarray) -> Tally:
        """Of one block, with the gross and the region's öre of its fills."""
        p, f, drugs, calendar = block.persons, block.fills, world.drugs, world.calendar
        n, K, G = len(p), len(world.centres.centre_id), len(world.illness.groups)
        numbers = table_months(world)
        listed = listed_on(p, calendar, numbers)
        at = np.arange(n)[:, None] * facts.N_CELLS + cells_on(p, world.first_month, numbers)
        months = np.bincount(at[listed], minlength=n * facts.N_CELLS).reshape(n, -1).astype(np.float64)
        rows, ore = table_cost(world, block, region)
        cost = np.bincount(f.person[rows].astype(np.int64) * facts.N_CELLS + block.cell[block.here][rows], weights=ore,
                           minlength=n * facts.N_CELLS).reshape(n, -1)

        middle = numbers[len(numbers) // 2:len(numbers) // 2 + 1]
        there = np.flatnonzero(listed_on(p, calendar, middle)[:, 0])
        band10 = np.full(n, -1)
        band10[there] = p.sex[there] * 10 + np.minimum((world.first_month + middle[0] - p.birth_month[there]) // 120, 9)
        centre = block.listings.centre_on(there, np.full(len(there), calendar.firsts[middle[0]])).astype(np.int64)
        place = np.zeros(n, dtype=np.int64)
        place[there] = centre * N10 + band10[there]
        month = calendar.month[f.day]
        in_period = np.isin(month, numbers)
        group = drugs.group[f.substance]
        used = np.zeros((n, G), dtype=bool)
        used[f.person[in_period], group[in_period]] = True
        base = drugs.in_base[f.substance]
        sums = np.zeros((K * N10, 2 * G))
        np.add.at(sums, place[there], np.hstack([used[there], block.use[there]]))
        by_place = sums.reshape(K, N10, 2 * G).transpose(0, 2, 1)
        last_half_year = len(calendar.firsts) - HALF_YEAR
        now = np.flatnonzero(listed_on(p, calendar, np.array([last_half_year]))[:, 0])
        home = block.listings.centre_on(now, np.full(len(now), calendar.firsts[last_half_year]))
        return cls(
            months=months.sum(axis=0), cost=cost.sum(axis=0), cost2=(cost**2).sum(axis=0),
            cost_months=(cost * months).sum(axis=0), months2=(months**2).sum(axis=0),
            users=by_place[:, :G], expected=by_place[:, G:],
            persons=np.bincount(place[there], minlength=K * N10).reshape(K, N10).astype(np.float64),
            gross=np.bincount(group[in_period], weights=gross[in_period], minlength=G),
            gross_base=np.bincount(group[in_period & base], weights=gross[in_period & base], minlength=G),
            drug_users=used.sum(axis=0).astype(np.float64),
            month_cost=np.bincount(month[base], weights=region[base], minlength=len(calendar.firsts)),
            month_gross=np.bincount(month[base], weights=gross[base], minlength=len(calendar.firsts)),
            list_size=np.bincount(home, minlength=K),
            rows=np.array(len(f)), person_cost=[cost.sum(axis=1)[listed.any(axis=1)].astype(np.int64)],
        )

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def derived(self, world: World) -> np.ndarray:
        """α × cost ÷ listed months of the table period by cell, SEK per listed month, not rounded, shape (42,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return _responsibility(world) * self.cost / 100 / self.months

    def standard_errors(self, world: World) -> np.ndarray:
        """Of the derived amounts against the published ones, SEK per listed month, shape (42,).

        Ratio estimator with persons as clusters; the draw the factors were estimated on, at full size, has the same
        variance per person and adds its own.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            r = self.cost / self.months
            one = np.sqrt(self.cost2 - 2 * r * self.cost_months + r**2 * self.months2) / self.months
            full = self.months.sum() / (len(table_months(world)) * facts.listed_population()["listed"].sum())
            return _responsibility(world) * one / 100 * np.sqrt(1 + full)

    def report(self, world: World) -> dict[str, Any]:
        """All of it as plain numbers and rows, for calibration.json; what cannot be known is None."""
        c = world.scenario.calibration
        published = _published(world)
        derived, se = self.derived(world), self.standard_errors(world)
        whole = np.where(np.isnan(derived), -1, np.floor(np.nan_to_num(derived) + 0.5)).astype(np.int64)
        listed = self.months > 0
        told = self.months >= FEWEST * len(table_months(world))
        table = [{"sex": facts.SEXES[i % 2], "age_band": facts.BAND_LABELS[i // 2], "published": int(published[i]),
                  "derived": int(whole[i]) if told[i] else None, "unrounded": _shown(derived[i], told[i]),
                  "equal": bool(listed[i] and whole[i] == published[i]), "se": _shown(se[i], told[i]),
                  "listed_months": int(self.months[i]) if told[i] or not listed[i] else None}
                 for i in range(facts.N_CELLS)]
        person_cost = np.sort(np.concatenate(self.person_cost))[::-1]
        sizes = self.list_size[:world.n_centres]
        return {
            "table_period": c.table_period, "table_year": c.table_year, "table": table,
            "equal_cells": sum(row["equal"] for row in table),
            "within_3_se": int(np.sum(np.abs(derived - published)[listed] <= 3 * se[listed])),
            "factors": [{"sex": facts.SEXES[i % 2], "age_band": facts.BAND_LABELS[i // 2],
                         "factor": float(world.factors[i])} for i in range(facts.N_CELLS)],
            "prevalence": self._prevalence(world),
            "groups": self._groups(world),
            "prevalence_cv": self._prevalence_cv(world),
            "total_cost_sek": float(self.cost.sum()) / 100,
            "gross_cost_sek": float(self.gross_base.sum()) / 100,
            "dispensings": int(self.rows),
            "half_years": self._half_years(world),
            "top1_share": float(person_cost[:max(len(person_cost) // 100, 1)].sum() / max(person_cost.sum(), 1)),
            "without_cost_share": float(np.mean(person_cost == 0)),
            "list_sizes": {"min": int(sizes[sizes >= FEWEST].min(initial=sizes.max())),
                           "p10": float(np.percentile(sizes, 10)), "median": float(np.median(sizes)),
                           "p90": float(np.percentile(sizes, 90)),
                           "max": int(sizes.max()), "mean": float(sizes.mean())},
            "changes": [change.model_dump() | {"group": change.drug_group} for change in c.unit_costs],
        }

    def _half_years(self, world: World) -> list[dict[str, Any]]:
        start, months = world.scenario.window.start, len(self.month_cost)
        periods = [Period.half_year_of(m) for m in Period(start, world.scenario.window.end).months]
        return [{"period": str(period), "cost_sek": float(sum(self.month_cost[m] for m in of)) / 100,
                 "gross_sek": float(sum(self.month_gross[m] for m in of)) / 100}
                for period in dict.fromkeys(periods) if (of := [m for m in range(months) if periods[m] == period])]

    def _prevalence(self, world: World) -> list[dict[str, Any]]:
        """Users per 1000 in the table period by group, sex and ten-year band, beside the reference."""
        with np.errstate(divide="ignore", invalid="ignore"):
            users, persons = self.users.sum(axis=0), self.persons.sum(axis=0)
            per_1000 = 1000 * users / persons
            told = ((users == 0) | (users >= FEWEST)) & (persons >= FEWEST)
        return [{"condition": group.drug_group, "sex": facts.SEXES[cell // 10], "band10": BANDS10[cell % 10],
                 "reference": group.prev_per_1000[cell], "simulated": _shown(per_1000[g, cell], told[g, cell])}
                for g, group in enumerate(facts.drug_groups()) for cell in range(N10)]

    def _groups(self, world: World) -> list[dict[str, Any]]:
        """Gross cost per user and share of it in the base, by group, beside the reference."""
        calibrated = facts.cost_calibration().set_index("drug_group")["new_cost"]
        changed = {change.drug_group: change.new for change in world.scenario.calibration.unit_costs}
        with np.errstate(divide="ignore", invalid="ignore"):
            per_user, in_base = self.gross / 100 / self.drug_users, self.gross_base / self.gross
        told = (self.drug_users == 0) | (self.drug_users >= FEWEST)
        return [{"condition": group.drug_group, "users": int(self.drug_users[g]) if told[g] else None,
                 "reference_cost": float(changed.get(group.drug_group, calibrated[group.drug_group])),
                 "simulated_cost": _shown(per_user[g], told[g]), "reference_in_base": group.share_in_base_assumed,
                 "simulated_in_base": _shown(in_base[g], told[g])} for g, group in enumerate(facts.drug_groups())]

    def _prevalence_cv(self, world: World) -> list[dict[str, Any]]:
        """Spread over centres of users against what the region's rates by sex and band give, per group.

        ``observed`` includes chance; ``chance`` is what independent persons alone would give; ``latent`` is the spread
        of the probabilities at average practice: illness alone.
        """
        n = slice(0, world.n_centres)
        persons = self.persons[n]
        out = []
        for g, name in enumerate(world.illness.groups):
            users, probable = self.users[n, g], self.expected[n, g]
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = np.nan_to_num(users.sum(axis=0) / persons.sum(axis=0))
                usual = np.nan_to_num(probable.sum(axis=0) / persons.sum(axis=0))
                expected = persons @ rate
                observed = _weighted_cv(users.sum(axis=1) / expected, expected)
                latent = _weighted_cv(probable.sum(axis=1) / (persons @ usual), persons @ usual)
                by_chance = (persons @ (rate * (1 - rate))) / expected**2
                chance = np.sqrt(np.average(by_chance, weights=expected)) if expected.any() else np.nan
            out.append({"condition": name, "observed": _number(observed), "chance": _number(chance),
                        "latent": _number(latent)})
        return out


def _weighted_cv(ratio: np.ndarray, weight: np.ndarray) -> float:
    if len(ratio) < 2 or not np.isfinite(ratio).all():
        return float("nan")
    mean = np.average(ratio, weights=weight)
    return float(np.sqrt(np.average((ratio - mean) ** 2, weights=weight)) / mean)


def _shown(value: float, told: bool) -> float | None:
    return _number(value) if told else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _responsibility(world: World) -> float:
    return facts.cost_responsibility(date(world.scenario.calibration.table_year, 1, 1))


def _published(world: World) -> np.ndarray:
    """SEK per listed month by cell, shape (42,)."""
    return facts.age_sex_table(world.scenario.calibration.table_year)["sek_per_month"].to_numpy(dtype=np.float64)


def calibrate(world: World, workers: int = 2, progress: Callable[[str], None] = lambda _: None) -> np.ndarray:
    """Factors (42,) under which the table derived from ``world`` is the published one, to 0.01 SEK.

    The fills are drawn once; only factor → gross → fee → net is repeated. Net cost responds more than in proportion to
    gross, since fees fall as cost rises: each cell's own elasticity is learnt from the last two rounds.
    """
    from joblib import Parallel, delayed

    target = _published(world)

    def drawn(home: int) -> Block:
        return replace(world.block(home), use=np.empty(0), use_later=np.empty(0), diseases=np.empty(0))

    def cell_cost(block: Block, factors: np.ndarray) -> np.ndarray:
        rows, ore = table_cost(world, block, world.costs(block, factors)[2])
        return np.bincount(block.cell[block.here][rows], weights=ore, minlength=facts.N_CELLS)

    with Parallel(n_jobs=workers, backend="threading") as parallel:
        progress("drawing the fills")
        blocks = parallel(delayed(drawn)(home) for home in range(world.n_centres))
        numbers = table_months(world)
        months = sum(np.bincount(
            cells_on(b.persons, world.first_month, numbers)[listed_on(b.persons, world.calendar, numbers)],
            minlength=facts.N_CELLS) for b in blocks)
        log_factor, elasticity = np.zeros(facts.N_CELLS), np.full(facts.N_CELLS, 1.3)
        gap = step = np.zeros(facts.N_CELLS)
        for step_no in range(30):
            cost = sum(parallel(delayed(cell_cost)(b, np.exp(log_factor)) for b in blocks))
            derived = _responsibility(world) * cost / 100 / months
            progress(f"round {step_no + 1}: largest gap {np.abs(derived - target).max():.3f} SEK per listed month")
            if np.abs(derived - target).max() < 0.01:
                break
            before, gap = gap, np.log(target / derived)
            moved = np.abs(step) > 1e-6
            elasticity[moved] = np.clip((before - gap)[moved] / step[moved], 0.6, 2.5)
            step = gap / elasticity
            log_factor = log_factor + step
    return np.round(np.exp(log_factor), 6)


def with_factors(text: str, factors: np.ndarray) -> str:
    """The scenario file's text with new factors in place of the old."""
    for s, sex in enumerate(facts.SEXES):
        row = ", ".join(f"{f:.6g}" for f in factors.reshape(-1, 2)[:, s])
        old = rf"(?ms)^(\[calibration\.factors\].*?^{sex} = )\[[^\]]*\]"
        text, found = re.subn(old, rf"\g<1>[{row}]", text, count=1)
        if not found:
            raise ValueError(f"no factors for {sex} under [calibration.factors]")
    return text


def main(path: Path) -> None:
    """Estimate the factors of the scenario at ``path`` and write them into it."""
    from lakemedelsmodell.simulation.scenario import load_scenario
    from lakemedelsmodell.simulation.world import World

    scenario = load_scenario(path)
    world = World(scenario, scenario.calibration.seed, 1.0, scenario.population.centres)
    factors = calibrate(world, progress=lambda line: print(line, file=sys.stderr, flush=True))
    path.write_text(with_factors(path.read_text(encoding="utf-8"), factors), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
