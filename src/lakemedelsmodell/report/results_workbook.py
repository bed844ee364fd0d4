"""results.xlsx: what a run found in words, then its tables, a sheet each, headed in Swedish and English.

Like the report it formats what the run folder holds, and shows nothing of fewer than five persons.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lakemedelsmodell.report import assembly, decision
from lakemedelsmodell.report.contents import Contents, Gaps
from lakemedelsmodell.report.page import Page
from lakemedelsmodell.report.persons import group_label
from lakemedelsmodell.report.texts import LANGUAGES, texts_of
from lakemedelsmodell.report.workbook import new_workbook

Rows = Sequence[Mapping[str, Any]]

FILE = "results.xlsx"
TOLD = ("said_of", "said")
"""Headers of the first sheet, in each language."""


def write_workbook(contents: Contents, path: Path) -> None:
    """Write the workbook of a run; the same run gives the same bytes."""
    tables = list(sheets(contents))
    with new_workbook(path) as book:
        book.sheet(header("sheet_read_me", "sv"), [header(key, lang) for lang in LANGUAGES for key in TOLD],
                   read_me(contents, [name for name, _ in tables]))
        for name, rows in tables:
            columns = list(dict.fromkeys(column for row in rows for column in row if _plain(row[column])))
            heads = [[header(column, lang) for column in columns] for lang in LANGUAGES]
            book.sheet(header(f"sheet_{name}", "sv"), heads, ([row.get(c) for c in columns] for row in rows))


def header(column: str, lang: str) -> str:
    """The words for a column: the workbook's own, else the report's for a measure, else its name in results.json."""
    return texts_of("workbook", lang).get(column) or texts_of("", lang).get(f"measures.{column}", column)


def sheets(contents: Contents) -> Iterator[tuple[str, Rows]]:
    """(name, rows) of every table that has something to show."""
    results, pages = contents.results, _pages(contents)
    found: dict[str, Rows] = {
        "totals": _totals(contents),
        "models": [_model(name, model) for name, model in _models(results)],
        "contrasts": [dict(c) for c in results.parts("contrasts")],
        "verdict": [_clause(pages, c) for c in results.parts("verdict", "clauses")],
        "centres": _centres(contents),
        "amounts": _amounts(contents),
        "groups": [{"model": name, "group": group} | _called(pages, group) | row for name, model in _models(results)
                   for group, row in (model.at("predictive_ratios") or {}).items()],
        "deciles": [{"model": name, **d} for name, model in _models(results) for d in model.at("calibration") or []],
        "conditions": [_condition(contents, c) for c in results.parts("conditions")],
        "incentives": [dict(i) for i in results.parts("incentives") if not contents.too_few(str(i.at("condition")))],
        "settings": [{"what": key, "value": _text(value)} for part in ("run", "period", "settings")
                     for key, value in results.part(part).items()],
    }
    return ((name, rows) for name, rows in found.items() if rows)


def _pages(contents: Contents) -> dict[str, Page]:
    return {lang: Page(contents, lang) for lang in LANGUAGES}


def read_me(contents: Contents, tables: Sequence[str]) -> list[tuple[str, ...]]:
    """What the run is, what came out, what to bear in mind and which sheets follow: (name, text) in each language."""
    told = [_told(page, tables) for page in _pages(contents).values()]
    return [tuple(text for pair in row for text in pair) for row in zip(*told, strict=True)]


def _told(page: Page, tables: Sequence[str]) -> list[tuple[str, str]]:
    head, answer, lang = assembly.head(page), decision.answer(page), page.lang
    rows = [("", head["title"]), (head["banner_head"], head["banner"]),
            ("", head["subtitle"]), ("", head["scenario"]), (answer["tag"], answer["ruling"] or answer["scope"]),
            *((name, Markup(" ").join(said)) for name, said in answer["brief"]),
            *((name, f"{value} ({note})") for name, value, note in answer["facts"]),
            *((head["warnings_head"], said) for _, said in head["warnings"]),
            *((header(f"sheet_{name}", "sv"), header(f"holds_{name}", lang)) for name in tables),
            ("", header("small", lang))]
    return [(_bare(name), _bare(said)) for name, said in rows if said]


def _bare(text: str) -> str:
    """The words without HTML."""
    return Markup(text).striptags() if isinstance(text, Markup) else str(text)


def _called(pages: Mapping[str, Page], group: str) -> dict[str, str]:
    family, _, member = group.partition(":")
    return {f"group_{lang}": page.condition(member) if family == "condition" else group_label(page, group)
            for lang, page in pages.items()}


def _clause(pages: Mapping[str, Page], clause: Gaps) -> dict[str, Any]:
    """A clause of the verdict: log ratios, SEK per listed month or shares, as results.json has them."""
    names = {f"clause_{lang}": decision.clause_name(page, clause) for lang, page in pages.items()}
    stands = {f"stands_{lang}": page.text.plain(f"verdict.{decision.OUTCOMES.get(clause.at('holds'), 'open')}")
              for lang, page in pages.items()}
    return names | stands | {key: clause.at(key) for key in ("number", "threshold")}


def _models(results: Gaps) -> list[tuple[str, Gaps]]:
    return [(name, Gaps(model)) for name, model in results.part("models").items()]


def _plain(value: Any) -> bool:
    """Whether a cell can hold it."""
    return value is None or isinstance(value, (int, float, str))


def _text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    return value if _plain(value) else str(value)


def _totals(contents: Contents) -> Rows:
    """Sums of the run, then what was left out and why; numbers, named in both languages."""
    totals, pages = contents.results.part("totals"), _pages(contents)
    sums = [{f"what_{lang}": header(f"total_{key}", lang) for lang in LANGUAGES} | {"value": value}
            for key, value in totals.items() if not isinstance(value, Mapping)]
    left_out = [{f"what_{lang}": page.text.name("left_out", kind) for lang, page in pages.items()} | {"value": value}
                for kind, value in totals.part("left_out").items()]
    return [*sums, *left_out]


def _model(name: str, model: Gaps) -> dict[str, Any]:
    own = {"model": name, "label_sv": texts_of("", "sv").get(f"models.{name}"),
           "label_en": texts_of("", "en").get(f"models.{name}"), "role": model.at("role"), "phi": model.at("phi")}
    rest = ("noise_floor", "true_sd", "pass_through", "rmse_to_ideal")
    return own | dict(model.part("spread")) | dict(model.part("fit")) | {key: model.at(key) for key in rest}


TEXTS = ("centre_id", "name", "model")
"""Columns of centres.csv that are no numbers, beside ``outside_funnel``, which is true or false."""


def _centres(contents: Contents) -> Rows:
    least = contents.fewest_months()

    def typed(column: str, text: str) -> Any:
        return text or None if column in TEXTS else text == "True" if text in ("True", "False") else _number(text)

    return [{column: typed(column, text) for column, text in row.items()} for row in contents.centre_rows
            if (_number(row.get("listed_months")) or 0) >= least]


INTERVALS = ("standard_error", "ci_low", "ci_high", "closed_sek", "closed_error", "closed_low", "closed_high")
"""What is told of how sure an amount is, as published and closed to the budget."""


def _amounts(contents: Contents) -> Rows:
    """Amounts as paid with their intervals; those of an age band or a condition of too few persons stay out."""
    cells = {model: contents.cells(model) for model in {r["model"] for r in contents.amount_rows}}
    sure = {(model, row.at("kind"), row.at("name"), row.at("sex")): row
            for model in contents.results.part("amount_intervals")
            for row in contents.results.parts("amount_intervals", model)}
    shown = []
    for row in contents.amount_rows:
        age, sek = _number(row["age_from"]), _number(row["sek_per_month"])
        if row["kind"] == "age_sex" and math.isnan(cells[row["model"]].get((int(age or 0), row["sex"]), math.nan)):
            sek = None
        if row["kind"] == "condition" and contents.too_few(row["name"]):
            sek = None
        told = sure.get((row["model"], row["kind"], row["name"], row["sex"] or None), Gaps(None))
        intervals = {f"amount_{key}": None if sek is None else told.at(key) for key in INTERVALS} if sure else {}
        shown.append({**{k: row[k] or None for k in row}, "age_from": None if age is None else int(age),
                      "age_to": None if not row["age_to"] else int(float(row["age_to"])), "sek_per_month": sek,
                      **intervals})
    return shown


def _condition(contents: Contents, condition: Gaps) -> dict[str, Any]:
    persons = condition.at("persons")
    name = str(condition.at("name"))
    return {"condition": name, "label_sv": condition.at("label_sv"), "label_en": condition.at("label_en"),
            "atc": ", ".join(condition.at("atc") or []), "exclude": ", ".join(condition.at("exclude") or []),
            "rule_sv": condition.at("rule_sv"), "rule_en": condition.at("rule_en"),
            "persons": None if contents.too_few(name) else persons, "source": condition.at("source")}


def _number(text: str | None) -> float | None:
    return float(text) if text else None
