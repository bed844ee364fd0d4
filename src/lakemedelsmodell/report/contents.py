"""What lies in a run folder, as the report reads it: with gaps, and without what is too few persons."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.report.numbers import known

TODAY, PUBLISHED, PROPOSAL, DEFENDED = "age_sex", "age_sex_published", "chronic", "chronic_defended"
BOTH = (("today", TODAY), ("proposal", PROPOSAL))
"""What texts and figures call the two models that are compared."""
MODEL_ORDER = (PUBLISHED, TODAY, PROPOSAL, DEFENDED, "flat")


class Gaps(Mapping[str, Any]):
    """A nested mapping in which what is missing or null reads as nothing instead of failing."""

    def __init__(self, tree: Mapping[str, Any] | None):
        self._tree = tree or {}

    def __getitem__(self, key: str) -> Any:
        return self._tree[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def __len__(self) -> int:
        return len(self._tree)

    def at(self, *path: str) -> Any:
        """The value at a path, None where the path ends early."""
        value: Any = self._tree
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def part(self, *path: str) -> Gaps:
        value = self.at(*path)
        return Gaps(value if isinstance(value, Mapping) else None)

    def parts(self, *path: str) -> list[Gaps]:
        """The mappings in the list at a path; none where there is no list."""
        value = self.at(*path)
        return [Gaps(v) for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True)
class CentreNet:
    """One centre's net under today's model and under the proposal, SEK per listed month and SEK."""

    centre_id: str
    name: str
    listed_months: float
    today: float
    proposal: float
    today_sek: float
    proposal_sek: float
    error: float = math.nan
    """Standard error of the proposal's net: how much chance is in it, SEK per listed month."""
    outside: bool = False
    """Whether the proposal's net lies beyond the 99.8 % limits of the funnel."""


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


@dataclass(frozen=True)
class Contents:
    """A run folder's results.json, centres.csv and amounts.csv; calibration and manipulation where there are."""

    results: Gaps
    centre_rows: tuple[dict[str, str], ...]
    amount_rows: tuple[dict[str, str], ...]
    calibration: Gaps
    manipulation: Gaps
    """What play came to on these data (manipulation.json); empty where nobody has played."""

    @property
    def kind(self) -> str:
        """``simulation``, ``files`` or ``cohort`` (a reduced table, of persons or of sums per centre)."""
        kind = self.results.at("run", "kind")
        kind = "cohort" if kind == "totals" else kind
        return kind if kind in ("simulation", "files", "cohort") else "files"

    @property
    def models(self) -> list[str]:
        """Today's model, the proposal and the floor, in the order readers expect; of a reduced table every model."""
        names = list(self.results.part("models"))
        return [m for m in MODEL_ORDER if m in names] + (self.competitors if self.kind == "cohort" else [])

    @property
    def competitors(self) -> list[str]:
        """The other ways to share out the same money, in the order of the run."""
        return [m for m in self.results.part("models") if m not in MODEL_ORDER]

    @property
    def payable(self) -> list[str]:
        """Models with amounts per age and sex to show, without the flat one."""
        return [m for m in self.models if m != "flat" and self.cells(m)]

    def contrast(self, model: str, against: str, of: Gaps | None = None) -> Gaps:
        for contrast in (of if of is not None else self.results).parts("contrasts"):
            if (contrast.at("model"), contrast.at("against")) == (model, against):
                return contrast
        return Gaps(None)

    def fewest_months(self) -> float:
        """Listed months below which a centre may hold fewer persons than may be shown."""
        period = self.results.part("period")
        try:
            start, end = (date.fromisoformat(str(period.at(k))[:10]) for k in ("start", "end"))
            return FEWEST_PERSONS * ((end.year - start.year) * 12 + end.month - start.month)
        except ValueError:
            months, persons = (self.results.at("totals", k) for k in ("listed_months", "persons"))
            return FEWEST_PERSONS * (months / persons if known(months) and known(persons) and persons else 1)

    def centres(self) -> tuple[list[CentreNet], int]:
        """Every centre that may be shown, by today's net; and how many may not."""
        by_model: dict[str, dict[str, dict[str, str]]] = {}
        for row in self.centre_rows:
            by_model.setdefault(row.get("model", ""), {})[row.get("centre_id", "")] = row
        today, proposal, least = by_model.get(TODAY, {}), by_model.get(PROPOSAL, {}), self.fewest_months()
        shown, hidden = [], 0
        for centre_id, row in today.items():
            other = proposal.get(centre_id, {})
            centre = CentreNet(
                centre_id, row.get("name") or centre_id, _number(row.get("listed_months")),
                _number(row.get("net_sek_per_listed_month")), _number(other.get("net_sek_per_listed_month")),
                _number(row.get("net_sek")), _number(other.get("net_sek")), _number(other.get("standard_error")),
                other.get("outside_funnel") == "True")
            if math.isnan(centre.today) or math.isnan(centre.proposal) or not centre.listed_months >= least:
                hidden += 1
            else:
                shown.append(centre)
        return sorted(shown, key=lambda c: (c.today, c.centre_id)), hidden

    def amounts(self, model: str, kind: str) -> list[dict[str, str]]:
        return [r for r in self.amount_rows if r.get("model") == model and r.get("kind") == kind]

    def cells(self, model: str) -> dict[tuple[int, str], float]:
        """(age_from, sex) → SEK per listed month; nan in bands of too few persons."""
        groups, found = self.results.part("models", model, "predictive_ratios"), {}
        for row in self.amounts(model, "age_sex"):
            age, of_band = _number(row.get("age_from")), groups.part(f"age:{row.get('name')}")
            band = of_band.at("persons")
            # Of two sexes that share fewer than twice the fewest persons, one has fewer than those.
            few = model != PUBLISHED and bool(of_band) and (band is None or band < 2 * FEWEST_PERSONS)
            if not math.isnan(age) and row.get("sex"):
                found[int(age), row["sex"]] = math.nan if few else _number(row.get("sek_per_month"))
        return found

    def add_ons(self, model: str) -> dict[str, float]:
        """Condition → SEK per listed month."""
        return {r.get("name", ""): _number(r.get("sek_per_month")) for r in self.amounts(model, "condition")}

    def half_width(self, model: str, amount: tuple[int, str] | str) -> float:
        """Half the 95 % interval of an amount as paid, of (age_from, sex) or a condition, SEK per listed month.

        nan where the run does not tell it.
        """
        for row in self.results.parts("amount_intervals", model):
            if amount == (row.at("name") if row.at("kind") == "condition" else (row.at("age_from"), row.at("sex"))):
                low, high = row.at("ci_low"), row.at("ci_high")
                return (high - low) / 2 if known(low) and known(high) else math.nan
        return math.nan

    def persons_with(self, condition: str) -> int | None:
        """Persons who hold a condition; None where the run does not say."""
        listed = [e.at("persons") for e in self.results.parts("conditions") if e.at("name") == condition]
        grouped = self.results.at("models", PROPOSAL, "predictive_ratios", f"condition:{condition}", "persons")
        return next((int(n) for n in (*listed, grouped) if known(n)), None)

    def too_few(self, condition: str) -> bool:
        """Whether a condition is held by one to four persons, so that nothing about it may be shown."""
        group = self.results.part("models", PROPOSAL, "predictive_ratios", f"condition:{condition}")
        hidden = bool(group) and group.at("persons") is None
        return hidden or 0 < (self.persons_with(condition) or 0) < FEWEST_PERSONS


def _rows(path: Path) -> tuple[dict[str, str], ...]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return tuple(csv.DictReader(handle))


def read_run(folder: str | Path, manipulation: Path | None = None) -> Contents:
    """Read a run folder, and what ``manipulate`` found on its data with the verdict that this completes.

    ``manipulation`` is the folder that ``manipulate`` wrote. Where none is given it is looked for: NAME_manipulated
    beside the run, where it writes by itself, or manipulation within it. What was played on other data is left alone.

    Raises UserError when the folder is no run or of a schema this version does not know, or when the manipulation given
    is none or was played on other data.
    """
    folder = Path(folder)
    for name in ("results.json", "centres.csv", "amounts.csv"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is no run folder: {name} is missing. "
                            "Give a folder that simulate or evaluate wrote.")
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / 'results.json'} is not JSON ({error}). Run simulate or evaluate again.") from error
    if results.get("schema") != 1:
        raise UserError(f"{folder / 'results.json'} has schema {results.get('schema')}; this version reads schema 1. "
                        "Run it again.")
    played, verdict = _played(folder, results, manipulation)
    return Contents(
        results=Gaps(results | ({"verdict": verdict} if verdict else {})),
        centre_rows=_rows(folder / "centres.csv"),
        amount_rows=_rows(folder / "amounts.csv"),
        calibration=_json(folder / "calibration.json"),
        manipulation=played,
    )


def _played(folder: Path, results: dict[str, Any], given: Path | None) -> tuple[Gaps, Mapping[str, Any] | None]:
    """What manipulation.json and verdict.json say of the run's data; nothing where nobody has played on them."""
    run = folder.resolve()
    for place in (given,) if given else (run.with_name(f"{run.name}_manipulated"), run / "manipulation"):
        played = _json(place / "manipulation.json")
        if played and played.at("content_hash") == Gaps(results).at("run", "content_hash"):
            return played, _json(place / "verdict.json") or None
        if given:
            raise UserError(f"{given} was played on other data than those of {folder}. Run manipulate on {folder}."
                            if played else
                            f"{given} holds no manipulation.json. Give the folder that manipulate wrote.")
    return Gaps(None), None


def _json(path: Path) -> Gaps:
    return Gaps(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None)
