"""The amount table: kronor per listed month, the one thing every payable model ends as."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.conditions import FLAG_RULES, ConditionSet, condition_set
from lakemedelsmodell.errors import DataError, Problem, UserError, first_of_a_kind, unknown_name
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS, SEXES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Language = Literal["sv", "en"]

AMOUNT_COLUMNS = ("model", "kind", "name", "sex", "age_from", "age_to", "sek_per_month", "valid_from",
                  "condition_set", "rule")
"""Columns of amounts.csv, in order."""

AddOnKind = Literal["condition", "highest", "count"]
"""How add-ons go together: every one held is paid; only the highest one held; one by how many are held."""
ADD_ON_KINDS: tuple[AddOnKind, ...] = ("condition", "highest", "count")

COUNTS = ("1", "2", "3", "4+")
"""Numbers of conditions that have an amount each where add-ons go by count."""

LARGEST = 1_000_000
"""SEK a listed month, more than which no amount of a file is taken for true."""

POOL_MONTHS = 6
"""A pool threshold is for half a year; it is scaled to the months of any other period."""

_WORDS: Mapping[Language, Mapping[str, str]] = {
    "sv": {
        "model": "Modell", "K": "Kvinna", "M": "Man", "years": "år", "total": "Summa per månad",
        "unset": "inget belopp satt", "number": "antal kroniska tillstånd: {}", "highest": "{} (det högsta)",
        "cni": "+ {} per enhet av vårdcentralens CNI.",
        "newcomer": "+ {} för den som inte var listad någon gång i återblicken.",
        "pool": "Kostnad över {} per person och halvår betalas ur en gemensam pool.",
    },
    "en": {
        "model": "Model", "K": "Woman", "M": "Man", "years": "years", "total": "Sum per month",
        "unset": "no amount set", "number": "number of chronic conditions: {}", "highest": "{} (the highest)",
        "cni": "+ {} per unit of the centre's care-need index.",
        "newcomer": "+ {} for who was listed nowhere in the look-back.",
        "pool": "Cost above {} per person and half-year is paid from a common pool.",
    },
}


class Part(NamedTuple):
    """One named part of a person's reimbursement; ``sek`` per listed month, nan where no amount is set."""

    name: str
    label: str
    sek: float


@dataclass(frozen=True)
class Explanation:
    """One person's monthly reimbursement as a sum of named parts.

    ``total`` is in SEK per listed month; nan when the person's age and sex has no amount. ``note`` says what is
    paid besides.
    """

    model: str
    parts: tuple[Part, ...]
    total: float
    lang: Language = "en"
    note: str = ""

    def _amount(self, sek: float) -> str:
        return _WORDS[self.lang]["unset"] if math.isnan(sek) else _money(sek, self.lang)

    def _rows(self) -> list[tuple[str, str]]:
        parts = [(p.label, self._amount(p.sek)) for p in self.parts]
        return [*parts, (_WORDS[self.lang]["total"], self._amount(self.total))]

    def __repr__(self) -> str:
        rows = self._rows()
        left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
        lines = [f"{_WORDS[self.lang]['model']}: {self.model}", *(f"  {a:<{left}}  {b:>{right}}" for a, b in rows)]
        return "\n".join([*lines, f"  {self.note}"] if self.note else lines)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td style='text-align:left'>{escape(label)}</td><td>{amount}</td></tr>"
                       for label, amount in self._rows())
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table><caption>{_WORDS[self.lang]['model']}: {escape(self.model)}</caption>{rows}</table>{note}"


_SWEDISH = str.maketrans({",": "\u00a0", ".": ","})
"""No-break space between thousands, decimal comma."""


def _kronor(sek: float) -> str:
    return f"{sek:,.0f}" if float(sek).is_integer() else f"{sek:,.2f}"


def _money(sek: float, lang: Language) -> str:
    return f"{_kronor(sek).translate(_SWEDISH)} kr" if lang == "sv" else f"{_kronor(sek)} SEK"


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
        Names of the add-ons: conditions, or the numbers of :data:`COUNTS`.
    add_ons : float64, shape (C,)
        SEK per listed month added for each condition held; nan where nobody held it when the amounts
        were set: such a condition pays nothing.
    kind : "condition", "highest" or "count"
        Whether every condition held is paid, only the one with the highest add-on, or their number.
    per_cni : float or None
        SEK per listed month and unit of the care-need index of the centre where the person is listed.
    per_newcomer : float or None
        SEK per listed month of a person who was listed nowhere in the look-back, and so can have no conditions.
    pool_threshold : float or None
        SEK of a person's cost in half a year above which the centre's share is paid as it falls, from the same
        budget; the amounts are then for cost below it. None without a pool.
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
    kind: AddOnKind = "condition"
    per_cni: float | None = None
    per_newcomer: float | None = None
    pool_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.cells.shape != (len(BAND_FROM), len(SEXES)):
            raise ValueError(f"cells have shape {self.cells.shape}, not {(len(BAND_FROM), len(SEXES))}")
        if len(self.add_ons) != len(self.conditions):
            raise ValueError(f"{len(self.conditions)} conditions but {len(self.add_ons)} add-ons")
        if self.conditions and self.rule is None:
            raise ValueError("add-ons need the flag rule they go with")
        if self.kind == "count" and self.conditions != COUNTS:
            raise ValueError(f"add-ons by count are for {COUNTS}, not {self.conditions}")

    @property
    def holdable(self) -> tuple[str, ...]:
        """Conditions a person can hold; empty where add-ons go by the number of conditions of a list not at hand."""
        if self.kind != "count":
            return self.conditions
        known = self._condition_set()
        return known.names if known else ()

    @property
    def paid_add_ons(self) -> np.ndarray:
        """Add-ons with 0 where none was set, SEK per listed month, shape (C,)."""
        return np.nan_to_num(self.add_ons)

    def per_month(self, cell: np.ndarray, flags: np.ndarray | None = None) -> np.ndarray:
        """x'β: SEK per listed month, shape (n,), for cells 0..41 and bool flags of shape (n, conditions of the set).

        Without what goes by centre, history or cost (:attr:`per_cni`, :attr:`per_newcomer`, :attr:`pool_threshold`).
        """
        pay = self.cells.reshape(-1)[cell]
        if not self.conditions:
            return pay
        assert flags is not None
        if self.kind == "count":
            return pay + np.concatenate([[0.0], self.paid_add_ons])[flags.sum(axis=1).clip(max=len(COUNTS))]
        if self.kind == "highest":
            best = np.zeros(len(pay))
            for c in np.flatnonzero(self.paid_add_ons):
                np.maximum(best, self.add_ons[c], out=best, where=flags[:, c])
            return pay + best
        for c in np.flatnonzero(self.paid_add_ons):
            pay[flags[:, c]] += self.add_ons[c]
        return pay

    def first_add_on(self, condition: str) -> float:
        """What a condition adds for a person who holds no other, SEK per listed month; 0 where it adds nothing."""
        name = COUNTS[0] if self.kind == "count" else condition
        return float(self.paid_add_ons[self.conditions.index(name)]) if name in self.conditions else 0.0

    def rounded(self) -> AmountTable:
        """The same table in whole kronor (halves away from zero), as it is published and paid."""
        def whole(sek: np.ndarray | float) -> np.ndarray:
            return np.copysign(np.floor(np.abs(sek) + 0.5), sek) + 0.0

        once: dict[str, Any] = {name: None if (sek := getattr(self, name)) is None else float(whole(sek))
                                for name in ("per_cni", "per_newcomer")}
        return replace(self, cells=whole(self.cells), add_ons=whole(self.add_ons), unrounded=self.unrounded or self,
                       **once)

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
        known = self._condition_set()
        names = self.holdable or tuple(held)
        if self.conditions and (unknown := [c for c in held if c not in names]):
            raise UserError(f"{self.model} has no condition {', '.join(unknown)}. It has: {', '.join(names)}.")
        if known:
            held = list(known.after_ladders(held))
        labels = {c.name: c.label(lang) for c in known.conditions} if known else {}
        words, band = _WORDS[lang], band_of(age)
        years = f"{BAND_FROM[band]}–{BAND_FROM[band] + 4}" if band < len(BAND_FROM) - 1 else f"{BAND_FROM[band]}+"
        person = f"{words[sex]}, {years} {words['years']}"
        parts = [Part("age_sex", person, float(self.cells[band, SEXES.index(sex)]))]
        paid = [Part(name, labels.get(name, name), float(sek))
                for name, sek in zip(self.conditions, self.add_ons, strict=True) if name in held]
        if self.kind == "highest" and paid:
            best = max(paid, key=lambda p: np.nan_to_num(p.sek))
            paid = [best._replace(label=words["highest"].format(best.label))]
        elif self.kind == "count" and self.conditions and held:
            number = min(len(held), len(COUNTS)) - 1
            paid = [Part(COUNTS[number], words["number"].format(COUNTS[number]), float(self.add_ons[number]))]
        total = parts[0].sek + float(np.nansum([p.sek for p in paid]))
        besides = (("cni", self.per_cni), ("newcomer", self.per_newcomer), ("pool", self.pool_threshold))
        note = " ".join(words[what].format(_money(sek, lang)) for what, sek in besides if sek is not None)
        return Explanation(self.model, (*parts, *paid), total, lang, note)

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
        """One row per amount, columns :data:`AMOUNT_COLUMNS`.

        Kind is ``age_sex``; ``condition``, ``highest`` or ``count``; ``cni`` (per unit of the centre's index);
        ``history`` (for who was listed nowhere in the look-back); and ``pool``: there sek_per_month is a person's
        cost per month of the period above which cost is pooled.
        """
        import pandas as pd

        last = len(BAND_FROM) - 1
        cells = [(BAND_LABELS[b], sex, start, start + 4 if b < last else None)
                 for b, start in enumerate(BAND_FROM) for sex in SEXES]
        once = [(kind, name, sek) for kind, name, sek in (
            ("cni", "centre_cni", self.per_cni), ("history", "not_listed_before", self.per_newcomer),
            ("pool", "person_cost_above", self.pool_threshold and self.pool_threshold / POOL_MONTHS))
            if sek is not None]
        others = [*((self.kind, name, sek) for name, sek in zip(self.conditions, self.add_ons, strict=True)), *once]
        label, sex, age_from, age_to = (list(part) for part in zip(*cells, strict=True))
        nothing = [None] * len(others)
        ages = {"age_from": age_from, "age_to": age_to}
        return pd.DataFrame({
            "model": self.model, "kind": ["age_sex"] * len(cells) + [kind for kind, *_ in others],
            "name": label + [name for _, name, _ in others], "sex": sex + nothing,
            **{name: pd.array(age + nothing, dtype="Int64") for name, age in ages.items()},
            "sek_per_month": [*self.cells.reshape(-1).tolist(), *(float(sek) for *_, sek in others)],
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "condition_set": self.condition_set, "rule": self.rule})

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`to_frame` as UTF-8 CSV; :func:`read_amounts` reads it back unchanged."""
        self.to_frame().to_csv(path, index=False)

    def plot(self, ax: Axes | None = None) -> Axes:
        """SEK per listed month by age, women and men."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        for s, (sex, style) in enumerate(zip(("Women", "Men"), ("-", "--"), strict=True)):
            amounts = np.append(self.cells[:, s], self.cells[-1, s])
            ax.plot([*BAND_FROM, BAND_FROM[-1] + 5], amounts, style, drawstyle="steps-post", label=sex)
        zero = ax.axhline(0, color="0.4", lw=0.8, label="_nolegend_")
        zero.sticky_edges.y.append(0)  # no margin below 0 unless an amount lies there
        ax.set(xlabel="Age", ylabel="SEK per listed month", title=self.model)
        ax.legend(frameon=False)
        return ax

    def _shown(self) -> list[pd.DataFrame]:
        import pandas as pd

        cells = pd.DataFrame(self.cells, index=pd.Index(BAND_LABELS, name="age"), columns=["women (K)", "men (M)"])
        add_ons = pd.DataFrame({"add-on": self.add_ons}, index=pd.Index(self.conditions, name="condition"))
        return [cells, add_ons] if self.conditions else [cells]

    def __repr__(self) -> str:
        return "\n".join([f"{self.model}, SEK per listed month. {self.source}",
                          *(part.to_string(float_format=_kronor, na_rep="") for part in self._shown())])

    def _repr_html_(self) -> str:
        html = f"<b>{escape(self.model)}</b>, SEK per listed month. {escape(self.source)}"
        tables = [part.to_html(float_format=_kronor, na_rep="") for part in self._shown()]
        return html + "<div style='display:flex;gap:2em;align-items:flex-start'>" + "".join(tables) + "</div>"


def published_table(year: int = 2026) -> AmountTable:
    """The amounts the region publishes, whole kronor per listed month.

    Raises UserError for a year that is not packaged (2025 and 2026 are).
    """
    table = facts.age_sex_table(year)
    cells = np.full((len(BAND_FROM), len(SEXES)), np.nan)
    cells[table["age_from"].to_numpy() // 5, [SEXES.index(s) for s in table["sex"]]] = table["sek_per_month"]
    return AmountTable("age_sex_published", cells, valid_from=_as_date(table["valid_from"].iloc[0]),
                       source=str(table["source"].iloc[0]))


def _as_date(value: object) -> date | None:
    text = "" if value is None else str(value)[:10]
    return date.fromisoformat(text) if text and text not in ("nan", "NaT", "None") else None


def amounts_frame(tables: Iterable[AmountTable]) -> pd.DataFrame:
    """Several models' amounts below each other, columns :data:`AMOUNT_COLUMNS`."""
    import pandas as pd

    return pd.concat([t.to_frame().astype(object) for t in tables], ignore_index=True)


def write_amounts(tables: Sequence[AmountTable], path: str | Path) -> None:
    """Write several models' amounts to one amounts.csv."""
    amounts_frame(tables).to_csv(path, index=False)


def _read_rows(path: Path) -> tuple[pd.DataFrame, bool]:
    """The rows of an amounts.csv as text, and whether it is written with ``;`` and decimal comma."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"There is no amounts file {path}. Give the amounts.csv of a run folder.")
    try:
        semicolon = ";" in path.read_text(encoding="utf-8-sig").partition("\n")[0]
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=";" if semicolon else ",")
    except ValueError:  # of the encoding or of the lines
        raise DataError(Problem(path.name, "cannot be read as CSV in UTF-8",
                                "Save it as CSV UTF-8, with every quote closed.")) from None
    optional = {"rule", "condition_set", "valid_from", "age_to"}
    if missing := [c for c in AMOUNT_COLUMNS if c not in frame and c not in optional]:
        raise DataError(Problem(path.name, f"column {', '.join(missing)} is missing",
                                f"The columns are {', '.join(AMOUNT_COLUMNS)}."))
    unseen = [Problem(path.name, "holds a line break or another sign that is not seen", "Write the name on one line.",
                      row=int(str(at)) + 1, column=column, value=value)
              for column in ("model", "name", "condition_set") if column in frame
              for at, value in frame[column][~frame[column].map(str.isprintable)].items()]
    if unseen:  # names go into scripts for databases
        raise DataError(first_of_a_kind(unseen))
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
    found = _Found(path.name)
    for index, row in rows.iterrows():
        found.read(int(str(index)) + 1, row, "," if semicolon else ".")
    kinds = rows["kind"][rows["kind"].isin(ADD_ON_KINDS)].unique()
    if len(kinds) > 1:
        found.problems.append(Problem(path.name, f"{model} has add-ons of the kinds {' and '.join(kinds)}",
                                      "Keep one kind of add-on per model."))
    said = {column: found.said_once(rows[column]) for column in ("rule", "condition_set", "valid_from")}
    if found.problems:
        raise DataError(first_of_a_kind(found.problems))
    add_ons, once = found.add_ons, found.once
    if "count" in kinds:
        add_ons = {number: add_ons.get(number, math.nan) for number in COUNTS}
    return AmountTable(
        model, found.cells, tuple(add_ons), np.array(list(add_ons.values()), dtype=float),
        kind=kinds[0] if len(kinds) else "condition", per_cni=once.get("cni"),
        per_newcomer=once.get("history"),
        pool_threshold=round(once["pool"] * POOL_MONTHS, 2) if "pool" in once else None,
        rule=(said["rule"] or "dispensed") if add_ons else None, condition_set=said["condition_set"] or None,
        valid_from=_as_date(said["valid_from"]), source=path.name,
    )


class _Found:
    """One model's amounts in a file as they are read, SEK per listed month, and what is wrong with its rows."""

    def __init__(self, file: str):
        self.file = file
        self.cells = np.full((len(BAND_FROM), len(SEXES)), np.nan)
        self.add_ons: dict[str, float] = {}
        self.once: dict[str, float] = {}
        self.problems: list[Problem] = []

    def read(self, number: int, row: pd.Series, decimal: str) -> None:
        """Take in row ``number`` of the file."""
        def wrong(column: str, why: str, remedy: str) -> None:
            self.problems.append(Problem(self.file, why, remedy, row=number, column=column, value=row[column]))

        try:
            sek = _sek(row["sek_per_month"], decimal)
        except ValueError:
            return wrong("sek_per_month", "not an amount", "Write kronor per listed month as a number.")
        if abs(sek) > LARGEST:
            return wrong("sek_per_month", "cannot be what is paid for one listed month", "Correct it; at most "
                         f"{LARGEST:,} SEK is taken for true.".replace(",", " "))
        if row["kind"] in ADD_ON_KINDS:
            if row["name"] in self.add_ons:
                wrong("name", "the condition has two amounts", "Keep one row per model and condition.")
            if row["kind"] == "count" and row["name"] not in COUNTS:
                wrong("name", "unknown number of conditions", f"Write {', '.join(COUNTS)}.")
            self.add_ons[row["name"]] = sek
        elif row["kind"] in ("cni", "history", "pool"):
            if row["kind"] in self.once or not math.isfinite(sek) or (row["kind"] == "pool" and sek <= 0):
                wrong("sek_per_month", f"not the one amount of kind {row['kind']}",
                      "Give it once per model, as a number; a pool's is above 0.")
            self.once[row["kind"]] = sek
        elif row["kind"] != "age_sex":
            wrong("kind", "unknown kind of amount", f"Write age_sex, {', '.join(ADD_ON_KINDS)}, cni, history or pool.")
        elif row["sex"] not in SEXES:
            wrong("sex", "unknown sex", "Write K or M.")
        elif not row["age_from"].isdigit() or int(row["age_from"]) not in BAND_FROM:
            wrong("age_from", "not the first age of a band", "Bands begin at 0, 5, … 100.")
        else:
            at = BAND_FROM.index(int(row["age_from"])), SEXES.index(row["sex"])
            if not math.isnan(self.cells[at]):
                wrong("age_from", "the cell has two amounts", "Keep one row per model, band and sex.")
            self.cells[at] = sek
        return None


    def said_once(self, column: pd.Series) -> str:
        """What the rows say of the whole model; empty where none does."""
        values = [value for value in column.unique() if value]
        name = str(column.name)
        if len(values) > 1:
            self.problems.append(Problem(self.file, f"the rows of one model say {' and '.join(values[:2])}",
                                         "Write the same in every row of a model.", column=name))
        elif values and name == "rule" and values[0] not in FLAG_RULES:
            self.problems.append(Problem(self.file, "unknown rule", f"Write {' or '.join(FLAG_RULES)}.", column=name,
                                         value=values[0]))
        elif values and name == "valid_from":
            try:
                _as_date(values[0])
            except ValueError:
                self.problems.append(Problem(self.file, "is no date", "Write YYYY-MM-DD.", column=name,
                                             value=values[0]))
        return values[0] if values else ""


def _sek(text: str, decimal: str) -> float:
    """An amount as a file has it; nan where there is none. ValueError for what is no number."""
    text = text.replace("\u00a0", "").replace(" ", "").replace(decimal, ".")
    sek = float(text) if text else math.nan
    if math.isinf(sek):
        raise ValueError
    return sek


# Life of a table ---------------------------------------------------------------------------------


def side_by_side(first: AmountTable, second: AmountTable) -> pd.DataFrame:
    """Two tables' amounts in SEK per listed month: the same model of two half-years, or before and after a change.

    One row per amount of either: kind, name, sex, age_from, first, second, change and change_percent (nan where an
    amount is not set, or changes from 0).
    """
    key = ["kind", "name", "sex", "age_from"]
    one, two = (t.to_frame().set_index(key)["sek_per_month"] for t in (first, second))
    frame = one.to_frame("first").join(two.rename("second"), how="outer", sort=False).reset_index()
    change = frame["second"] - frame["first"]
    return frame.assign(change=change, change_percent=100 * change / frame["first"].where(frame["first"] != 0))


def blend(first: AmountTable, second: AmountTable, share: float) -> AmountTable:
    """A table on the way from ``first`` to ``second``: (1 − share) of the one, share of the other.

    A condition that only one of them pays is blended with 0. Not rounded.

    Raises
    ------
    UserError
        For a share outside 0..1, or tables whose add-ons or pools cannot be blended (other rules, kinds, lists or
        thresholds).
    """
    if not 0 <= share <= 1:
        raise UserError(f"A share of {share} is not between 0 and 1.")
    said = {(t.kind, t.rule, t.condition_set) for t in (first, second) if t.conditions}
    if len(said) > 1:
        raise UserError(f"{first.model} and {second.model} pay add-ons by different rules or condition lists, "
                        "so they cannot be blended.")
    if first.pool_threshold != second.pool_threshold:
        raise UserError(f"{first.model} and {second.model} have different pools, so they cannot be blended. "
                        "Bring the pool in at once, in either table.")
    kind, rule, listed = next(iter(said), ("condition", None, None))
    names = tuple(dict.fromkeys((*first.conditions, *second.conditions)))

    def mixed(one: np.ndarray | float, two: np.ndarray | float) -> np.ndarray:
        return np.asarray((1 - share) * one + share * two)

    def add_ons(table: AmountTable) -> np.ndarray:
        own = dict(zip(table.conditions, table.add_ons, strict=True))
        return np.array([own.get(name, 0.0) for name in names])

    once: dict[str, Any] = {name: float(mixed(*(sek or 0.0 for sek in pair))) for name in ("per_cni", "per_newcomer")
                            if (pair := (getattr(first, name), getattr(second, name))) != (None, None)}
    return AmountTable(
        f"{first.model}_to_{second.model}", mixed(first.cells, second.cells), names,
        mixed(add_ons(first), add_ons(second)), rule=rule, condition_set=listed, valid_from=second.valid_from,
        source=f"{100 * (1 - share):g} % {first.model}, {100 * share:g} % {second.model}",
        kind=kind, pool_threshold=first.pool_threshold, **once)


def cost_shares(codes: pd.DataFrame, conditions: ConditionSet,
                add_on_cost: Mapping[str, float] | None = None) -> pd.DataFrame:
    """What each ATC code makes up of the cost that each condition's add-on pays for.

    Parameters
    ----------
    codes : atc and cost_sek per code in the period the amounts were fitted on, as
        :func:`~lakemedelsmodell.data.flags.code_summary` gives them
    conditions : ConditionSet
    add_on_cost : condition → SEK the add-on stands for in that period, b/α × flagged months. An add-on also pays for
        drugs outside its condition that go with it, so the codes then make up less than all of it. None = the
        condition's own drugs are taken as the whole.

    Returns
    -------
    DataFrame: condition, atc, share (0 to 1; sums to at most 1 per condition).
    """
    used = conditions.expand(codes["atc"]).merge(codes[["atc", "cost_sek"]], on="atc")
    used = used[used["condition"].isin(conditions.names) & (used["cost_sek"] > 0)]
    whole = used.groupby("condition")["cost_sek"].transform("sum")
    if add_on_cost is not None:
        whole = np.maximum(whole, used["condition"].map(add_on_cost).fillna(0.0))
    return used[["condition", "atc"]].assign(share=used["cost_sek"] / whole).reset_index(drop=True)


def reprice(table: AmountTable, price_index: Mapping[str, float], shares: pd.DataFrame) -> AmountTable:
    """The table at new prices: each add-on times the cost-weighted price index of the codes that use it.

    b' = b (1 + Σ share × (index − 1)). What is not in ``shares`` keeps its price, and the amounts for age and sex
    stay: they hold the cost of those who carry no flag. In whole kronor where the table was, from its unrounded
    amounts. The source says what changed, and which codes no condition uses.

    Parameters
    ----------
    table : AmountTable whose add-ons are for conditions (not their number)
    price_index : ATC code → new price over old, ≥ 0
    shares : condition, atc, share of the add-on's cost (:func:`cost_shares`)

    Raises
    ------
    UserError
        For an index that is not a number ≥ 0, or a table whose add-ons go by the number of conditions.
    """
    index = {code.strip().upper(): float(new) for code, new in price_index.items()}
    if bad := [code for code, new in index.items() if not 0 <= new < math.inf]:
        raise UserError(f"The price index of {bad[0]} is not a number of 0 or more: {index[bad[0]]}.")
    if table.kind == "count" and table.conditions:
        raise UserError(f"{table.model} pays by the number of conditions: no price of a drug belongs to its add-ons.")
    if table.unrounded is not None:
        return reprice(table.unrounded, price_index, shares).rounded()
    changed = shares[shares["atc"].isin(index)]
    moved = (changed["share"] * (changed["atc"].map(index).astype(float) - 1)).groupby(changed["condition"]).sum()
    factor = np.array([1 + float(moved.get(name, 0.0)) for name in table.conditions])
    said = [f"{name} × {f:.3f}" for name, f in zip(table.conditions, factor, strict=True) if name in moved.index]
    unused = sorted(set(index) - set(changed["atc"]))
    note = f"{table.source}; re-priced: {', '.join(said) or 'nothing'}"
    if unused:
        note += f"; no condition uses {', '.join(unused)}"
    return replace(table, add_ons=table.add_ons * factor, source=note)
