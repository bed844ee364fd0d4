"""The amount table: kronor per listed month, the one thing every payable model ends as."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.conditions import ConditionSet, condition_set
from lakemedelsmodell.errors import DataError, Problem, UserError, unknown_name
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS, SEXES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Language = Literal["sv", "en"]

AMOUNT_COLUMNS = ("model", "kind", "name", "sex", "age_from", "age_to", "sek_per_month", "valid_from",
                  "condition_set", "rule")
"""Columns of amounts.csv, in order."""

_MODEL, _PERSON, _TOTAL, _UNSET, _YEARS = (
    {"sv": "Modell", "en": "Model"},
    {"K": {"sv": "Kvinna", "en": "Woman"}, "M": {"sv": "Man", "en": "Man"}},
    {"sv": "Summa per månad", "en": "Sum per month"},
    {"sv": "inget belopp satt", "en": "no amount set"},
    {"sv": "år", "en": "years"},
)


class Part(NamedTuple):
    """One named part of a person's reimbursement; ``sek`` per listed month, nan where no amount is set."""

    name: str
    label: str
    sek: float


@dataclass(frozen=True)
class Explanation:
    """One person's monthly reimbursement as a sum of named parts.

    ``total`` is in SEK per listed month; nan when the person's age and sex has no amount.
    """

    model: str
    parts: tuple[Part, ...]
    total: float
    lang: Language = "en"

    def _amount(self, sek: float) -> str:
        if math.isnan(sek):
            return _UNSET[self.lang]
        return f"{_kronor(sek).translate(_SWEDISH)} kr" if self.lang == "sv" else f"{_kronor(sek)} SEK"

    def _rows(self) -> list[tuple[str, str]]:
        return [*((p.label, self._amount(p.sek)) for p in self.parts), (_TOTAL[self.lang], self._amount(self.total))]

    def __str__(self) -> str:
        rows = self._rows()
        left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join([f"{_MODEL[self.lang]}: {self.model}", *(f"  {a:<{left}}  {b:>{right}}" for a, b in rows)])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td style='text-align:left'>{escape(label)}</td><td>{amount}</td></tr>"
                       for label, amount in self._rows())
        return f"<table><caption>{_MODEL[self.lang]}: {escape(self.model)}</caption>{rows}</table>"


_SWEDISH = str.maketrans({",": "\u00a0", ".": ","})
"""No-break space between thousands, decimal comma."""


def _kronor(sek: float) -> str:
    return f"{sek:,.0f}" if float(sek).is_integer() else f"{sek:,.2f}"


def band_of(age: int) -> int:
    """Index of the five-year band (0..20) that holds an age in completed years; 20 is 100 and older."""
    return min(int(age) // 5, len(BAND_FROM) - 1)


@dataclass(frozen=True, eq=False)
class AmountTable:
    """Kronor per listed month: one amount per age band × sex, one add-on per condition.

    Attributes
    ----------
    model : str
        Name of the model that set it (``age_sex_published``, ``chronic`` …).
    cells : float64, shape (21, 2)
        SEK per listed month by age band and sex (column 0 = K, 1 = M); nan where nobody was there to
        set it (unknown is never 0).
    conditions : tuple of str, length C
    add_ons : float64, shape (C,)
        SEK per listed month added for each condition held; nan where nobody held it when the amounts
        were set: such a condition pays nothing.
    rule : str or None
        The flag rule the add-ons go with ("dispensed" or "listed"); None without add-ons.
    condition_set : str or None
    valid_from : date or None
    source : str
        What the amounts were set from: the region's document, or the period fitted on.
    unrounded : AmountTable or None
        The table as estimated, where this one has been rounded to whole kronor.
    """

    model: str
    cells: np.ndarray
    conditions: tuple[str, ...] = ()
    add_ons: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rule: str | None = None
    condition_set: str | None = None
    valid_from: date | None = None
    source: str = ""
    unrounded: AmountTable | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.cells.shape != (len(BAND_FROM), len(SEXES)):
            raise ValueError(f"cells have shape {self.cells.shape}, not {(len(BAND_FROM), len(SEXES))}")
        if len(self.add_ons) != len(self.conditions):
            raise ValueError(f"{len(self.conditions)} conditions but {len(self.add_ons)} add-ons")
        if self.conditions and self.rule is None:
            raise ValueError("add-ons need the flag rule they go with")

    @property
    def paid_add_ons(self) -> np.ndarray:
        """Add-ons with 0 where none was set, SEK per listed month, shape (C,)."""
        return np.nan_to_num(self.add_ons)

    def per_month(self, cell: np.ndarray, flags: np.ndarray | None = None) -> np.ndarray:
        """x'β: SEK per listed month, shape (n,), for cells 0..41 and bool flags of shape (n, C)."""
        pay = self.cells.reshape(-1)[cell]
        if self.conditions:
            assert flags is not None
            for c in np.flatnonzero(self.paid_add_ons):
                pay[flags[:, c]] += self.add_ons[c]
        return pay

    def rounded(self) -> AmountTable:
        """The same table in whole kronor (halves away from zero), as it is published and paid."""
        def whole(sek: np.ndarray) -> np.ndarray:
            return np.copysign(np.floor(np.abs(sek) + 0.5), sek) + 0.0

        return replace(self, cells=whole(self.cells), add_ons=whole(self.add_ons), unrounded=self.unrounded or self)

    # One person ------------------------------------------------------------------------------

    def explain(self, age: int, sex: str, conditions: Iterable[str] = (), lang: Language = "en") -> Explanation:
        """One person's reimbursement as named parts, SEK per listed month.

        Parameters
        ----------
        age : completed years
        sex : "K" (woman) or "M" (man)
        conditions : names of the conditions found; ladders apply where the condition set is at hand
        lang : "sv" or "en"

        Raises
        ------
        UserError
            For an age below 0 or above 130, a sex other than K and M, or a condition the table does
            not know. A table without add-ons pays nothing for any condition and asks nothing about them.
        """
        if not 0 <= age <= 130:
            raise UserError(f"Age {age} is not between 0 and 130. Give completed years.")
        if sex not in SEXES:
            raise UserError(f"Sex {sex!r} is not known. Write K (woman) or M (man).")
        held = list(dict.fromkeys(conditions))
        if self.conditions and (unknown := [c for c in held if c not in self.conditions]):
            raise UserError(
                f"{self.model} has no condition {', '.join(unknown)}. It has: {', '.join(self.conditions)}.")
        known = self._condition_set()
        if known:
            held = list(known.after_ladders(held))
        labels = {c.name: c.label(lang) for c in known.conditions} if known else {}
        band = band_of(age)
        years = f"{BAND_FROM[band]}–{BAND_FROM[band] + 4}" if band < len(BAND_FROM) - 1 else f"{BAND_FROM[band]}+"
        person = f"{_PERSON[sex][lang]}, {years} {_YEARS[lang]}"
        parts = [Part("age_sex", person, float(self.cells[band, SEXES.index(sex)]))]
        parts += [Part(name, labels.get(name, name), float(sek))
                  for name, sek in zip(self.conditions, self.add_ons, strict=True) if name in held]
        return Explanation(self.model, tuple(parts), parts[0].sek + float(np.nansum([p.sek for p in parts[1:]])), lang)

    def amount(self, age: int, sex: str, conditions: Iterable[str] = ()) -> float:
        """One person's reimbursement, SEK per listed month; arguments and errors as :meth:`explain`."""
        return self.explain(age, sex, conditions).total

    def _condition_set(self) -> ConditionSet | None:
        """The set the add-ons go with; None without add-ons, or for a list of the user's own that is not at hand."""
        if self.condition_set is None or not self.conditions:
            return None
        try:
            return condition_set(self.condition_set)
        except UserError:
            return None

    # In and out ------------------------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """One row per amount, columns :data:`AMOUNT_COLUMNS`; kind is ``age_sex`` or ``condition``."""
        import pandas as pd

        last = len(BAND_FROM) - 1
        rows: list[tuple] = [
            ("age_sex", BAND_LABELS[b], sex, start, start + 4 if b < last else None, self.cells[b, s])
            for b, start in enumerate(BAND_FROM) for s, sex in enumerate(SEXES)]
        rows += [("condition", c, None, None, None, sek) for c, sek in zip(self.conditions, self.add_ons, strict=True)]
        frame = pd.DataFrame(rows, columns=["kind", "name", "sex", "age_from", "age_to", "sek_per_month"])
        frame = frame.astype({"age_from": "Int64", "age_to": "Int64", "sek_per_month": float})
        frame.insert(0, "model", self.model)
        return frame.assign(valid_from=self.valid_from.isoformat() if self.valid_from else None,
                            condition_set=self.condition_set, rule=self.rule)

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`to_frame` as UTF-8 CSV; :func:`read_amounts` reads it back unchanged."""
        self.to_frame().to_csv(path, index=False)

    def plot(self, ax: Axes | None = None) -> Axes:
        """SEK per listed month by age, women and men."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        for s, (sex, style) in enumerate(zip(("Women", "Men"), ("-", "--"), strict=True)):
            ax.plot(BAND_FROM, self.cells[:, s], style, drawstyle="steps-post", label=sex)
        ax.set(xlabel="Age", ylabel="SEK per listed month", title=self.model, ylim=(0, None))
        ax.legend(frameon=False)
        return ax

    def _repr_html_(self) -> str:
        import pandas as pd

        cells = pd.DataFrame(self.cells, index=pd.Index(BAND_LABELS, name="age"), columns=["women (K)", "men (M)"])
        html = f"<b>{escape(self.model)}</b>, SEK per listed month. {escape(self.source)}"
        tables = [cells.to_html(float_format=_kronor, na_rep="")]
        if self.conditions:
            add_ons = pd.DataFrame({"add-on": self.add_ons}, index=pd.Index(self.conditions, name="condition"))
            tables.append(add_ons.to_html(float_format=_kronor, na_rep=""))
        return html + "<div style='display:flex;gap:2em;align-items:flex-start'>" + "".join(tables) + "</div>"


def published_table(year: int = 2026) -> AmountTable:
    """The amounts the region publishes, whole kronor per listed month.

    Raises UserError for a year that is not packaged (2025 and 2026 are).
    """
    if year not in (years := facts.published_years()):
        raise UserError(f"There is no published table for {year}. Packaged: {', '.join(map(str, years))}.")
    table = facts.age_sex_table(year)
    cells = np.full((len(BAND_FROM), len(SEXES)), np.nan)
    cells[table["age_from"].to_numpy() // 5, [SEXES.index(s) for s in table["sex"]]] = table["sek_per_month"]
    return AmountTable("age_sex_published", cells, valid_from=_as_date(table["valid_from"].iloc[0]),
                       source=str(table["source"].iloc[0]))


def _as_date(value: object) -> date | None:
    text = "" if value is None else str(value)[:10]
    return date.fromisoformat(text) if text and text not in ("nan", "NaT", "None") else None


def write_amounts(tables: Sequence[AmountTable], path: str | Path) -> None:
    """Write several models' amounts to one amounts.csv."""
    import pandas as pd

    frames = [t.to_frame().astype(object) for t in tables]
    pd.concat(frames, ignore_index=True).to_csv(path, index=False)


def _read_rows(path: Path) -> tuple[pd.DataFrame, bool]:
    """The rows of an amounts.csv as text, and whether it is written with ``;`` and decimal comma."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"There is no amounts file {path}. Give the amounts.csv of a run folder.")
    semicolon = ";" in path.read_text(encoding="utf-8-sig").partition("\n")[0]
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=";" if semicolon else ",")
    optional = {"rule", "condition_set", "valid_from", "age_to"}
    if missing := [c for c in AMOUNT_COLUMNS if c not in frame and c not in optional]:
        raise DataError(Problem(path.name, f"column {', '.join(missing)} is missing",
                                f"The columns are {', '.join(AMOUNT_COLUMNS)}."))
    return frame.reindex(columns=list(AMOUNT_COLUMNS), fill_value=""), semicolon


def models_in(path: str | Path) -> tuple[str, ...]:
    """Names of the models in an amounts.csv, in its order; errors as :func:`read_amounts`."""
    return tuple(_read_rows(Path(path))[0]["model"].unique())


def read_amounts(path: str | Path, model: str = "chronic") -> AmountTable:
    """Read one model's amounts from an amounts.csv (also with ``;`` and decimal comma).

    Raises
    ------
    UserError
        When the file does not exist or has no such model.
    DataError
        For a missing column, an amount that is not a number, or an unknown or repeated row.
    """
    path = Path(path)
    frame, semicolon = _read_rows(path)
    rows = frame[frame["model"] == model]
    if rows.empty:
        raise unknown_name(f"model in {path.name} called", model, frame["model"].unique())

    cells = np.full((len(BAND_FROM), len(SEXES)), np.nan)
    add_ons: dict[str, float] = {}
    problems = []
    for index, row in rows.iterrows():
        def bad(column: str, why: str, remedy: str, number: int = int(str(index)) + 1, row: pd.Series = row) -> Problem:
            return Problem(path.name, why, remedy, row=number, column=column, value=row[column])

        try:
            text = row["sek_per_month"].replace("\u00a0", "").replace(" ", "")
            sek = float(text.replace(",", ".") if semicolon else text) if text else math.nan
        except ValueError:
            problems.append(bad("sek_per_month", "not an amount", "Write kronor per listed month as a number."))
            continue
        if row["kind"] == "condition":
            if row["name"] in add_ons:
                problems.append(bad("name", "the condition has two amounts", "Keep one row per model and condition."))
            add_ons[row["name"]] = sek
        elif row["kind"] != "age_sex":
            problems.append(bad("kind", "unknown kind of amount", "Write age_sex or condition."))
        elif row["sex"] not in SEXES:
            problems.append(bad("sex", "unknown sex", "Write K or M."))
        elif not row["age_from"].isdigit() or int(row["age_from"]) not in BAND_FROM:
            problems.append(bad("age_from", "not the first age of a band", "Bands begin at 0, 5, … 100."))
        else:
            at = BAND_FROM.index(int(row["age_from"])), SEXES.index(row["sex"])
            if not math.isnan(cells[at]):
                problems.append(bad("age_from", "the cell has two amounts", "Keep one row per model, band and sex."))
            cells[at] = sek
    if problems:
        raise DataError(problems)
    first = rows.iloc[0]
    return AmountTable(
        model, cells, tuple(add_ons), np.array(list(add_ons.values()), dtype=float),
        rule=(first["rule"] or "dispensed") if add_ons else None, condition_set=first["condition_set"] or None,
        valid_from=_as_date(first["valid_from"]), source=path.name,
    )
