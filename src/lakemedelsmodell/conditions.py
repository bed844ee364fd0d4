"""Conditions read from dispensed drugs: lists of ATC codes with rules, as dated data and never as patterns.

A condition is held by who has been dispensed its codes; the rule ``listed`` also asks for all given ``min_*``. Under
both rules ``exclude``, ``requires``, ``yields_to`` and ``marker_only`` hold. Applied to data in ``data.flags``.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakemedelsmodell import facts
from lakemedelsmodell.errors import DataError, Problem, first_of_a_kind, unknown_name

if TYPE_CHECKING:
    import pandas as pd

THEMES = ("diabetes", "cardiovascular", "anticoagulation", "inflammatory", "cancer", "other")
"""The five conditions named in the meeting of 7 May 2026, and the rest."""

PACKAGED_SETS = ("skane_narrow", "skane_wide")

STATEMENT_SV = (
    "Regionens egen lista över tillstånd och läkemedel är inte offentlig. De fem tillstånd som nämndes på "
    "informationsmötet den 7 maj 2026 (diabetes, hjärt-kärlsjukdom, antikoagulation, inflammatorisk sjukdom, cancer) "
    "är här tolkade som ATC-grupper. Antibiotika ingår inte."
)
STATEMENT_EN = (
    "The region's own list of conditions and drugs is not public. The five conditions named at the information meeting "
    "of 7 May 2026 (diabetes, cardiovascular disease, anticoagulation, inflammatory disease, cancer) are read here as "
    "groups of ATC codes. Antibiotics are not in it."
)

FLAG_RULES = ("dispensed", "listed")
"""One dispensing makes a condition, or those that meet its thresholds do."""

THRESHOLDS = ("min_dates", "min_days_apart", "min_ddd", "min_packages")
"""Rules that count only under ``listed``."""

_WORDS = {
    "sv": {"dispensed": "Uthämtat i återblicken.", "listed": "Skärpt regel: {}.",
           "listed_only": "Uthämtat i återblicken: {}.", "min_dates": "minst {} datum",
           "min_days_apart": "minst {} dagar mellan första och sista", "min_ddd": "minst {} DDD",
           "min_packages": "minst {} förpackningar", "exclude_listed": "{} räknas inte då.",
           "requires": "Kräver {}.", "yields_to": "Räknas inte bredvid {}.",
           "marker_only": "Redovisas inte själv."},
    "en": {"dispensed": "Dispensed in the look-back.", "listed": "Defended rule: {}.",
           "listed_only": "Dispensed in the look-back: {}.", "min_dates": "at least {} dates",
           "min_days_apart": "at least {} days from first to last", "min_ddd": "at least {} DDD",
           "min_packages": "at least {} packages", "exclude_listed": "{} do not count then.",
           "requires": "Requires {}.", "yields_to": "Not counted beside {}.",
           "marker_only": "Never reported itself."},
}


@dataclass(frozen=True)
class Condition:
    """One condition: its ATC codes and the rules under which they count.

    Attributes
    ----------
    name : str
        As in results, files and flag columns.
    label_sv, label_en : str
    theme : str
        One of :data:`THEMES`.
    include, exclude : tuple of str
        ATC codes or prefixes; what matches ``exclude`` never counts. Without ``include`` the condition is made of what
        it requires.
    exclude_listed : tuple of str
        What does not count under the rule ``listed`` either: drugs outside the base, which cost a centre nothing.
    min_dates : int or None
        Different dates of dispensing (rule ``listed``, as the next three).
    min_days_apart : int or None
        Days from first to last date.
    min_ddd : float or None
        DDD in the look-back.
    min_packages : float or None
        Packages in the look-back.
    requires : tuple of str
        Conditions that must all be found too.
    yields_to : tuple of str
        Conditions beside which this one is dropped.
    marker_only : bool
        Serves other conditions, is never reported itself.
    source : str
    """

    name: str
    label_sv: str = ""
    label_en: str = ""
    theme: str = "other"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_listed: tuple[str, ...] = ()
    min_dates: int | None = None
    min_days_apart: int | None = None
    min_ddd: float | None = None
    min_packages: float | None = None
    requires: tuple[str, ...] = ()
    yields_to: tuple[str, ...] = ()
    marker_only: bool = False
    source: str = ""

    def label(self, lang: str) -> str:
        """The label in ``sv`` or ``en``, the name where there is none."""
        return (self.label_sv if lang == "sv" else self.label_en) or self.name

    def matches(self, atc: str) -> bool:
        """Whether a dispensing of this code counts."""
        return atc.startswith(self.include) and not atc.startswith(self.exclude)


@dataclass(frozen=True)
class Coverage:
    """How a condition set meets the codes that are in the data.

    Attributes
    ----------
    unmatched : DataFrame atc, rows, cost_sek
        Codes in the data that belong to no condition, dearest first.
    several : DataFrame atc, conditions, rows, cost_sek
        Codes that belong to more than one.
    unused : DataFrame condition, atc, exclude
        Entries of the list that match no code in the data.
    codes, rows, cost_sek : numbers of all codes, their rows and cost (SEK, nan if unknown)
    """

    unmatched: pd.DataFrame
    several: pd.DataFrame
    unused: pd.DataFrame
    codes: int
    rows: int
    cost_sek: float

    def to_frame(self) -> pd.DataFrame:
        """Tidy: finding, atc, condition, rows, cost_sek; one row per code or list entry."""
        import pandas as pd

        return pd.concat([
            self.unmatched.assign(finding="matches no condition"),
            self.several.rename(columns={"conditions": "condition"}).assign(finding="matches several conditions"),
            self.unused.drop(columns="exclude").assign(finding="list entry matches nothing"),
        ], ignore_index=True)[["finding", "atc", "condition", "rows", "cost_sek"]].astype({"rows": "Int64"})

    def __repr__(self) -> str:
        without = float(self.unmatched["cost_sek"].sum())
        share = f" ({without / self.cost_sek:.0%} of cost)" if self.cost_sek > 0 else ""
        return (f"Of {self.codes} codes, {len(self.unmatched)}{share} match no condition and {len(self.several)} match "
                f"several; {len(self.unused)} list entries match nothing.")

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>" + self.to_frame().to_html(index=False, na_rep="", max_rows=30)


@dataclass(frozen=True)
class ConditionSet:
    """Conditions that are read, and paid, together.

    ``statement_sv`` and ``statement_en`` say plainly what the list is and is not.
    """

    name: str
    conditions: tuple[Condition, ...]
    source: str = ""
    statement_sv: str = ""
    statement_en: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are reported, in the order of the list."""
        return tuple(c.name for c in self.conditions if not c.marker_only)

    def __getitem__(self, name: str) -> Condition:
        return next(c for c in self.conditions if c.name == name)

    def under(self, rule: str | None) -> ConditionSet:
        """The list as a rule reads it: under ``listed`` what is left out there is left out."""
        if rule != "listed" or not any(c.exclude_listed for c in self.conditions):
            return self
        return replace(self, conditions=tuple(
            replace(c, exclude=(*c.exclude, *c.exclude_listed), exclude_listed=()) for c in self.conditions))

    def describe(self, name: str, lang: str, rule: str | None = None) -> str:
        """What makes a condition count in plain words, ``sv`` or ``en``, under one rule or (None) under both."""
        c, words = self[name], _WORDS[lang]
        labels = {column: ", ".join(self[other].label(lang) for other in getattr(c, column))
                  for column in ("requires", "yields_to")}
        thresholds = [words[t].format(f"{value:g}") for t in THRESHOLDS if (value := getattr(c, t)) is not None]
        strict = ", ".join(thresholds) if rule != "dispensed" else ""
        only = bool(strict) and rule == "listed"
        sentences = [words["dispensed"] if c.include and not only else "",
                     words["listed_only" if only else "listed"].format(strict) if strict else "",
                     words["exclude_listed"].format(", ".join(c.exclude_listed))
                     if c.exclude_listed and rule != "dispensed" else "",
                     words["requires"].format(labels["requires"]) if c.requires else "",
                     words["yields_to"].format(labels["yields_to"]) if c.yields_to else "",
                     words["marker_only"] if c.marker_only else ""]
        return " ".join(filter(None, sentences))

    def after_ladders(self, found: Iterable[str]) -> tuple[str, ...]:
        """The conditions found less those that yield to another one found, in the order of the list."""
        found = set(found)
        return tuple(c.name for c in self.conditions if c.name in found and not found & set(c.yields_to))

    def expand(self, codes: Iterable[str]) -> pd.DataFrame:
        """Which codes count for which conditions: atc, condition, sorted; a code may be in several or in none.

        Markers that are never reported are there too: others require them.
        """
        import pandas as pd

        pairs = [(atc, c.name) for atc in sorted(set(codes)) for c in self.conditions if c.matches(atc)]
        return pd.DataFrame(pairs, columns=["atc", "condition"], dtype="str")

    def coverage(self, codes: pd.DataFrame) -> Coverage:
        """Compare the list with the codes in the data: columns atc (once each), rows and, where known, cost_sek."""
        import pandas as pd

        codes = codes.assign(cost_sek=codes.get("cost_sek", float("nan")))[["atc", "rows", "cost_sek"]]
        matched = self.expand(codes["atc"]).groupby("atc")["condition"].agg(list)
        several = matched[matched.str.len() > 1].str.join(", ").rename("conditions").reset_index()
        known = tuple(codes["atc"])
        unused = [(c.name, entry, excluded) for c in self.conditions
                  for excluded, entries in ((False, c.include), (True, c.exclude)) for entry in entries
                  if not any(atc.startswith(entry) for atc in known)]
        dearest = {"by": ["cost_sek", "rows", "atc"], "ascending": [False, False, True], "ignore_index": True}
        return Coverage(
            unmatched=codes[~codes["atc"].isin(matched.index)].sort_values(**dearest),
            several=several.merge(codes, on="atc").sort_values(**dearest),
            unused=pd.DataFrame(unused, columns=["condition", "atc", "exclude"]),
            codes=len(codes), rows=int(codes["rows"].sum()), cost_sek=float(codes["cost_sek"].sum(skipna=False)),
        )

    def to_frame(self) -> pd.DataFrame:
        """The list in the form of a file of one's own: one row per code, the rules repeated on each."""
        import pandas as pd

        rows = []
        for c in self.conditions:
            rules = ["" if (v := getattr(c, rule)) is None else write(v) for rule, (_, write) in RULES.items()]
            codes = [(atc, said) for said, name in EXCLUDED.items() for atc in getattr(c, name)]
            rows += [(c.name, *code, *rules) for code in codes or [("", "")]]
        return pd.DataFrame(rows, columns=COLUMNS)

    def to_csv(self, path: str | Path) -> None:
        """Write the list so that :func:`read_condition_list` reads the same conditions back."""
        self.to_frame().to_csv(path, index=False, lineterminator="\n")

    def __repr__(self) -> str:
        widest = max((len(c.name) for c in self.conditions), default=0)
        return "\n".join([f"{self.name}: {len(self.conditions)} conditions",
                          *(f"  {c.name:<{widest}}  {c.label_en}" for c in self.conditions)])

    def _repr_html_(self) -> str:
        import pandas as pd

        shown = pd.DataFrame([{
            "condition": c.name, "label": c.label_en, "theme": c.theme, "ATC": " ".join(c.include),
            "but not": " ".join(c.exclude), "yields to": ", ".join(c.yields_to),
        } for c in self.conditions])
        return f"<p><b>{escape(self.name)}</b>. {self.statement_en}</p>" + shown.to_html(index=False)


def condition_set(name_or_path: str | Path) -> ConditionSet:
    """``skane_narrow``, ``skane_wide``, or a list of one's own as a CSV file.

    Raises UserError for a name that is neither, DataError for a list that cannot be read.
    """
    if str(name_or_path) in PACKAGED_SETS:
        return _packaged(str(name_or_path))
    if Path(name_or_path).suffix.lower() != ".csv" and not Path(name_or_path).is_file():
        raise unknown_name("condition set", str(name_or_path), PACKAGED_SETS, ", or give a CSV file")
    return read_condition_list(name_or_path)


def _packaged(name: str) -> ConditionSet:
    groups = {g.drug_group: g for g in facts.drug_groups()}
    drugs = facts.substances()
    outside = drugs.loc[~drugs["in_base"].astype(bool), "atc"]
    conditions = tuple(Condition(
        name=m.condition, label_sv=m.label_sv, label_en=m.label_en, theme=m.theme,
        include=groups[m.condition].atc_include, exclude=groups[m.condition].atc_exclude,
        exclude_listed=tuple(a for a in outside if a.startswith(groups[m.condition].atc_include)
                             and not a.startswith(groups[m.condition].atc_exclude)),
        min_dates=m.min_dates, min_days_apart=m.min_days_apart, min_ddd=m.min_ddd, yields_to=m.yields_to,
        source=f"{m.source} ({m.confidence}; from {m.valid_from})",
    ) for m in facts.markers() if m.in_narrow or name == "skane_wide")
    return ConditionSet(name, conditions, source=facts.about("markers").title,
                        statement_sv=STATEMENT_SV, statement_en=STATEMENT_EN)


# --- A list of one's own -------------------------------------------------------------------------------------------

TRUE, FALSE = {"true", "1", "ja", "yes"}, {"false", "0", "nej", "no", ""}


MAX_BYTES, MAX_CONDITIONS, MAX_THRESHOLD = 1 << 24, 1_000, 1_000_000
"""What no list goes beyond: bytes of the file, conditions, and days, DDD or packages asked for."""


def _number(text: str) -> float:
    if not re.fullmatch(r"([0-9]+|[0-9]{1,3}(\s[0-9]{3})+)([.,][0-9]+)?", text):
        raise ValueError
    if (value := float(re.sub(r"\s", "", text).replace(",", "."))) > MAX_THRESHOLD:
        raise ValueError
    return value


def _count(text: str) -> int:
    if not (value := _number(text)).is_integer():  # 2.0 is how some programs write a count
        raise ValueError
    return int(value)


def _boolean(text: str) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise ValueError
    return text.lower() in TRUE


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in text.split(";") if (name := part.strip())))


def _optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: read(text) if text else None


RULES: Mapping[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "min_dates": (_optional(_count), str),
    "min_days_apart": (_optional(_count), str),
    "min_ddd": (_optional(_number), lambda v: f"{v:.15g}"),
    "min_packages": (_optional(_number), lambda v: f"{v:.15g}"),
    "requires": (_names, ";".join),
    "yields_to": (_names, ";".join),
    "marker_only": (_boolean, lambda v: str(v).lower()),
    "label_sv": (str, str), "label_en": (str, str),
    "theme": (lambda t: THEMES[THEMES.index(t or "other")], str),
    "source": (str, str),
}
"""Columns that are the same on every row of a condition: how each is read and written."""

COLUMNS = ("condition", "atc", "exclude", *RULES)

EXCLUDED = {"false": "include", "true": "exclude", "listed": "exclude_listed"}
"""What the column ``exclude`` says of a code, and where it then belongs."""


def _excluded(text: str) -> str:
    return "listed" if text.lower() == "listed" else str(_boolean(text)).lower()


REMEDIES = {
    "exclude": "Write true, false (also 1/0, ja/nej) or listed.",
    "marker_only": "Write true or false (also 1/0, ja/nej).",
    "min_dates": "Write a whole number from 0 to 1000000.", "min_days_apart": "Write a whole number from 0 to 1000000.",
    "min_ddd": "Write a number from 0 to 1000000.", "min_packages": "Write a number from 0 to 1000000.",
    "theme": f"Write one of {', '.join(THEMES)}.",
}

ATC = re.compile(r"[A-Z](\d(\d([A-Z]([A-Z](\d\d?)?)?)?)?)?")
"""A code or the beginning of one."""


class _Found(dict[str, dict[str, Any]]):
    """The conditions of a file as they are read (name → rules, include, exclude, first row), and what is wrong."""

    def __init__(self, file: str):
        super().__init__()
        self.file = file
        self.problems: list[Problem] = []
        self.spelt: dict[str, str] = {}

    def wrong(self, problem: str, remedy: str, row: int | None = None, column: str | None = None,
              value: str | None = None) -> None:
        self.problems.append(Problem(self.file, problem, remedy, row, column, value))

    def raise_problems(self) -> None:
        """The first of a kind, the very first with their count."""
        if self.problems:
            raise DataError(first_of_a_kind(self.problems))


def read_condition_list(path: str | Path) -> ConditionSet:
    """Read a list of one's own: columns condition, atc and, optionally, exclude and the rules (:data:`RULES`).

    Comma or semicolon between columns, decimal point or comma, UTF-8 or cp1252. Raises DataError with everything that
    is wrong: file, row, column, value, remedy.
    """
    path = Path(path)
    found = _Found(path.name)
    header, lines = _read_lines(path)
    _check_header(header, found)
    for row, line in enumerate(lines, 1):
        if any(line.values()):
            _read_row(row, line, found)
    if len(found) > MAX_CONDITIONS:
        raise DataError(Problem(path.name, f"holds {len(found)} conditions", f"Keep at most {MAX_CONDITIONS}: a "
                                "condition has one name on all the rows of its codes."))
    if not found and not found.problems:
        found.wrong("the table is empty", "Give at least one row with condition and atc.")
    _check_relations(found)
    found.raise_problems()
    return ConditionSet(path.stem, source=path.name, conditions=tuple(
        Condition(name=name, include=tuple(c["include"]), exclude=tuple(c["exclude"]),
                  exclude_listed=tuple(c["exclude_listed"]), **{r: c[r] for r in RULES})
        for name, c in found.items()))


def _read_lines(path: Path) -> tuple[list[str], list[dict[Any, Any]]]:
    """Header and rows; a row with too few fields has None among its values, one with too many has the key None."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError:
        raise DataError(Problem(str(path), "the file cannot be opened", "Give the path of a CSV file.")) from None
    if len(raw) > MAX_BYTES:
        raise DataError(Problem(path.name, "is longer than any list of conditions", "Give a CSV file with one ATC code "
                                "a row, of 16 MB at most."))
    try:
        text = raw.decode("utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    if "\0" in text or "\ufffd" in text:
        raise DataError(Problem(path.name, "the encoding cannot be read", "Save the list as CSV in UTF-8 (or cp1252)."))
    separator = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or []]
        return header, [{k: v.strip() if isinstance(v, str) else v for k, v in line.items()} for line in reader]
    except csv.Error as e:
        raise DataError(Problem(path.name, f"no CSV: {e}", "Close every quote that is opened.")) from None


def _check_header(header: list[str], found: _Found) -> None:
    for column in sorted(set(header)):
        if column not in COLUMNS:
            found.wrong("unknown column", f"Use {', '.join(COLUMNS)}.", column=column)
        elif header.count(column) > 1:
            found.wrong("the column is there twice", "Keep one of them.", column=column)
    for column in ("condition", "atc"):
        if column not in header:
            found.wrong("the column is missing", "A condition list has at least condition and atc.", column=column)
    found.raise_problems()


def _read_row(row: int, line: Mapping[Any, Any], found: _Found) -> None:
    if None in line or None in line.values():
        return found.wrong("more or fewer fields than the header", "Quote a field that holds the separator.", row)
    name = line["condition"]
    if not name.isprintable() or not name or name == "person_id" or re.search(r"[;,\"]|^[-=+@]", name):
        return found.wrong("not a name for a condition", "Give it a name of its own without , ; and quotes.",
                           row, "condition", name)
    if (twin := found.spelt.setdefault(name.casefold(), name)) != name:
        return found.wrong(f"differs from {twin} in case only", "Give each condition one name, spelt one way.",
                           row, "condition", name)

    values: dict[str, Any] = {}
    for column, read in {"exclude": _excluded, **{rule: read for rule, (read, _) in RULES.items()}}.items():
        try:
            values[column] = read(line.get(column, ""))
        except ValueError:
            found.wrong("the value cannot be read", REMEDIES[column], row, column, line[column])
    if len(values) <= len(RULES):
        return None
    excluded = values.pop("exclude")
    condition = found.setdefault(name, {**values, **{kind: [] for kind in EXCLUDED.values()}, "row": row})
    for column in RULES:
        if condition[column] != values[column]:
            found.wrong(f"differs from row {condition['row']} of the same condition",
                        "Give the same rule on every row of a condition.", row, column, line.get(column))

    atc = re.sub(r"[\s.]", "", line["atc"]).upper()
    codes = condition[EXCLUDED[excluded]]
    if atc and not ATC.fullmatch(atc):
        found.wrong("not an ATC code or the beginning of one", "Write one code a row, as A10, A10B or A10BA02.",
                    row, "atc", line["atc"])
    if excluded != "false" and not atc:
        found.wrong("an exclusion without a code", "Give the code that does not count.", row, "atc", "")
    if atc and atc not in codes:
        codes.append(atc)
    return None


def _check_relations(found: _Found) -> None:
    for name, c in found.items():
        for column in ("requires", "yields_to"):
            for other in c[column]:
                if other == name:
                    found.wrong("the condition names itself", "Name other conditions only.", c["row"], column, other)
                elif other not in found:
                    found.wrong("no such condition in the list", "Name conditions of this list, separated by ;.",
                                c["row"], column, other)
        if not c["include"] and (c["exclude"] or c["exclude_listed"] or not c["requires"]):
            found.wrong(f"{name} has no code that counts", "Give it a code, or what it requires.", c["row"], "atc", "")
        elif not c["include"] and any(c[threshold] is not None for threshold in THRESHOLDS):
            found.wrong(f"{name} has thresholds but no codes of its own",
                        "Put the thresholds on the conditions it requires.", c["row"], "atc", "")
    for circle in _circles({name: c["requires"] for name, c in found.items()}):
        first = found[circle[0]]
        found.wrong(f"the conditions require each other in a circle: {' → '.join(circle)}",
                    "Let no condition require itself by way of others.", first["row"], "requires",
                    ";".join(first["requires"]))


def _circles(requires: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Circles of two or more in who requires whom, each as it is first met in the list's order."""
    circles: list[tuple[str, ...]] = []
    done: set[str] = set()
    for first in requires:
        trail = {first: iter(requires[first])}  # on the way, in order, with what is left to follow of each
        while trail and first not in done:
            name = next(reversed(trail))
            other = next(trail[name], None)
            if other is None:
                done.add(name)
                del trail[name]
            elif other in trail and other != name:
                way = list(trail)
                circles.append((*way[way.index(other):], other))
            elif other not in done and other in requires and other != name:
                trail[other] = iter(requires[other])
    return circles
