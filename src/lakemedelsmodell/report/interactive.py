"""The interactive page: what one person is paid, and what one centre gets and why; one HTML file per language.

Everything is in the file: no request leaves it. The data are JSON in a script element that is never run, names reach
the page as text, and a policy in its head lets nothing run but its own script.
"""

from __future__ import annotations

import csv
import json
import math
import tomllib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lakemedelsmodell.amounts import ADD_ON_KINDS, COUNTS, POOL_MONTHS
from lakemedelsmodell.conditions import THEMES, condition_set
from lakemedelsmodell.data.periods import add_months
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_FROM, SEXES
from lakemedelsmodell.report.blocks import templates
from lakemedelsmodell.report.contents import PROPOSAL, PUBLISHED, TODAY, Contents, read_run
from lakemedelsmodell.report.numbers import known
from lakemedelsmodell.report.phrases import Phrases
from lakemedelsmodell.report.texts import LANGUAGES

CONTRIBUTIONS = "contributions.csv"
PARTS = ("age_sex", "few", "pool", "condition")
"""Kinds of parts in the order they are told to the script."""
OF_CENTRE = {"net": "net_sek_per_listed_month", "error": "standard_error", "lasting": "reliability",
             "best": "shrunken_net_sek_per_listed_month"}
"""What the script reads of a centre and model: its name there and in centres.csv."""


@lru_cache
def page_texts(lang: str) -> dict[str, Any]:
    """The words of the page, one table per part of it; ``js`` holds those its script fills in."""
    source = files("lakemedelsmodell.report") / "texts" / f"page.{lang}.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def has_page(contents: Contents) -> bool:
    """Whether a run is about centres and persons of a region; a reduced table names neither."""
    return contents.kind != "cohort" and {PUBLISHED, TODAY, PROPOSAL} <= set(contents.results.part("models"))


def render_page(folder: str | Path, lang: str, langs: Sequence[str] = LANGUAGES) -> str:
    """The interactive page on a run folder as HTML, in ``sv`` or ``en``, with links to those in ``langs``.

    Reads results.json, centres.csv, amounts.csv and, where there is one, contributions.csv. The same folder gives the
    same bytes. Raises UserError for an unknown language, a folder that is no run, or a run on a reduced table.
    """
    if lang not in LANGUAGES:
        raise UserError(f"There is no page in {lang!r}. Languages: {', '.join(LANGUAGES)}.")
    contents = read_run(folder)
    if not has_page(contents):
        raise UserError(f"{folder} compares no centres with the proposal, so there is no page to find one's own on.")
    environment = templates()
    style, script = (Markup("\n".join(environment.get_template(name).render() for name in names))
                     for names in (("style.css", "interactive.css"), ("interactive.js",)))
    page, words = PageData(contents, lang, _contributions(Path(folder))), page_texts(lang)
    return environment.get_template("interactive.html").render(
        lang=lang, langs=[(other, page_texts(other)["page"]) for other in langs if other != lang],
        t=words, head=page.head(), themes=page.conditions_by_theme(), months=page.months(), chosen=PROPOSAL,
        examples=page.examples(), models=page.models(), style=style, script=script,
        style_hash=_hash(style), script_hash=_hash(script), data=_embedded(page.data() | {"text": words["js"]}))


def write_pages(folder: str | Path, langs: Sequence[str] = LANGUAGES, *, out: Path | None = None) -> list[Path]:
    """Write ``page.<lang>.html`` into ``out``, or the run folder, for every language; returns the paths.

    A run on a reduced table has no page: nothing is written.
    """
    if not has_page(read_run(folder)):
        return []
    paths = []
    for lang in langs:
        path = Path(out or folder) / f"page.{lang}.html"
        path.write_text(render_page(folder, lang, langs), encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _embedded(data: dict[str, Any]) -> Markup:
    """JSON that can neither end nor begin a tag, whatever names it holds."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


def _contributions(folder: Path) -> list[dict[str, str]]:
    path = folder / CONTRIBUTIONS
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def _value(text: str | None) -> float | None:
    """A number of a CSV; None where there is none."""
    number = float(text) if text else math.nan
    return (int(number) if number.is_integer() else number) if math.isfinite(number) else None


def _ore(text: str) -> int:
    return int((Decimal(text) * 100).to_integral_value())


def _put(tree: dict[str, dict[str, list[Any]]], row: dict[str, str], at: int, value: Any) -> None:
    """Set place ``at`` of the list of a row's model and centre, nulls before it."""
    values = tree.setdefault(row["model"], {}).setdefault(row["centre_id"], [])
    values += [None] * (at + 1 - len(values))
    values[at] = value


class PageData:
    """One run's persons, amounts and centres as the page's script reads them."""

    def __init__(self, contents: Contents, lang: str, contributions: Iterable[dict[str, str]]):
        self.contents, self.lang = contents, lang
        self.results = contents.results
        self.phrases = Phrases(contents, lang)
        self.contributions = contributions
        self.told = [e for e in self.results.parts("conditions") if not contents.too_few(str(e.at("name")))]

    def head(self) -> dict[str, Any]:
        """What stands above the two tools: what the data are, and over which months."""
        text, scale, totals = self.phrases.text, self.results.at("run", "scale"), self.results.part("totals")
        number, alpha = self.phrases.number, totals.at("cost_responsibility")
        return {
            "kicker": text("page.kicker"), "banner_head": text(f"banner.{self.contents.kind}.head"),
            "banner": text(f"banner.{self.contents.kind}.text"), "simulated": self.contents.kind == "simulation",
            "scaled": text("page.scaled", share=number.percent(scale)) if known(scale) and scale < 1 else "",
            "period": self.phrases.period(self.results.part("period")),
            "lookback": self.phrases.period(self.results.part("lookback")),
            "alpha": number.percent(alpha, 0), "statement": self.results.at("condition_statement", self.lang) or "",
            "version": self.results.at("run", "versions", "lakemedelsmodell") or "",
        }

    def models(self) -> list[dict[str, Any]]:
        """Today's published table, the proposal, then every other model that has amounts."""
        names = [m for m in self.results.part("models") if self.contents.amounts(m, "age_sex")]
        first = [m for m in (PUBLISHED, PROPOSAL, TODAY) if m in names]
        return [self._model(m) for m in [*first, *(m for m in names if m not in first and m != "flat")]]

    def _model(self, name: str) -> dict[str, Any]:
        contents, text = self.contents, self.phrases.text
        cells = contents.cells(name)
        kind = next((k for k in ADD_ON_KINDS if contents.amounts(name, k)), "condition")
        add_ons = {str(r.get("name")): _value(r.get("sek_per_month")) for r in contents.amounts(name, kind)}
        words, notes = page_texts(self.lang)["models"], []
        for beside, per in (("cni", 1), ("history", 1), ("pool", POOL_MONTHS)):
            for row in contents.amounts(name, beside):
                sek = (_value(row["sek_per_month"]) or 0) * per
                notes.append(words[beside].format(sek=self.phrases.number.money(sek)))
        return {
            "key": name, "label": text.name("models", name), "about": words.get(name, ""), "note": " ".join(notes),
            "phi": self.results.at("models", name, "phi"), "kind": kind,
            "cells": {sex: [None if math.isnan(x := cells.get((start, sex), math.nan)) else x for start in BAND_FROM]
                      for sex in SEXES},
            "add_ons": {c: x for c, x in add_ons.items() if kind == "count" or not contents.too_few(c)},
        }

    def conditions(self) -> list[dict[str, Any]]:
        """The conditions one can hold, with the drugs that tell them and the rule in words."""
        yields = self._ladders()
        return [{
            "name": str(e.at("name")), "label": self.phrases.label(e), "theme": str(e.at("theme") or "other"),
            "rule": str(e.at(f"rule_{self.lang}") or ""), "atc": ", ".join(map(str, e.at("atc") or ())),
            "exclude": ", ".join(map(str, e.at("exclude") or ())), "yields": yields.get(str(e.at("name")), []),
        } for e in self.told]

    def _ladders(self) -> dict[str, list[str]]:
        """Condition → those beside which it is not counted; none for a list that is not at hand, as in ``explain``."""
        try:
            found = condition_set(str(self.results.at("settings", "condition_set")))
        except UserError:
            return {}
        return {c.name: list(c.yields_to) for c in found.conditions}

    def conditions_by_theme(self) -> list[tuple[str, list[dict[str, Any]]]]:
        words, found = page_texts(self.lang)["themes"], self.conditions()
        grouped = [(words[theme], [c for c in found if c["theme"] == theme]) for theme in THEMES]
        rest = [c for c in found if c["theme"] not in THEMES]
        return [(head, of) for head, of in [*grouped[:-1], (grouped[-1][0], grouped[-1][1] + rest)] if of]

    def examples(self) -> list[dict[str, Any]]:
        """The region's worked examples: who, age, sex and the conditions held."""
        told = {e.at("name") for e in self.told}
        return [{"who": str(e.at("who")), "age": e.at("age"), "sex": e.at("sex"),
                 "conditions": [c for c in e.at("conditions") or () if c in told]}
                for e in self.results.parts("examples")]

    def months(self) -> list[str]:
        """The months of the period in words; none where the dates are missing."""
        try:
            day, end = (date.fromisoformat(str(self.results.at("period", k))[:10]) for k in ("start", "end"))
        except ValueError:
            return []
        names, found = self.phrases.text.listed("page.months"), []
        while day < end:
            found.append(f"{names[day.month - 1]} {day.year}")
            day = add_months(day, 1)
        return found

    # Centres

    def centres(self) -> tuple[list[dict[str, Any]], int]:
        """Every centre that may be shown, by name, and how many may not.

        By model: net, its standard error and the best guess of it without chance (SEK per listed month), the share of
        its distance from the mean that is not chance, and pay (öre).
        """
        by_centre: dict[str, dict[str, Any]] = {}
        for row in self.contents.centre_rows:
            months = _value(row["listed_months"])
            centre = by_centre.setdefault(row["centre_id"], {
                "id": row["centre_id"], "name": row["name"] or row["centre_id"], "months": months,
                "pay": {}, **{of: {} for of in OF_CENTRE}})
            for of, column in OF_CENTRE.items():
                if (value := _value(row.get(column))) is not None:
                    centre[of][row["model"]] = round(value, 4)
            if row["reimbursement_sek"]:
                centre["pay"][row["model"]] = _ore(row["reimbursement_sek"])
        least = self.contents.fewest_months()
        shown = [c for c in by_centre.values() if known(c["months"]) and c["months"] >= least and c["net"]]
        return sorted(shown, key=lambda c: (c["name"].casefold(), c["id"])), len(by_centre) - len(shown)

    def parts(self, shown: set[str]) -> dict[str, Any]:
        """What each centre's reimbursement is made of.

        ``names`` holds the parts [kind, name, sex, age_from]; ``ore``, by model and centre, what each of them brings,
        null where it is not shown by itself; ``months`` the listed months, of the ages under today's model alone
        (they are the same under every model) and of the conditions from the first of them on.
        """
        rows = [row for row in self.contributions if row["centre_id"] in shown]
        parts = list(dict.fromkeys(tuple(row[k] for k in ("kind", "name", "sex", "age_from")) for row in rows))
        parts.sort(key=lambda part: PARTS.index(part[0]))
        place = {part: i for i, part in enumerate(parts)}
        first = next((i for part, i in place.items() if part[0] == "condition"), len(parts))
        found: dict[str, dict[str, dict[str, list[Any]]]] = {"ore": {}, "months": {}}
        for row in rows:
            at = place[row["kind"], row["name"], row["sex"], row["age_from"]]
            _put(found["ore"], row, at, _ore(row["sek"]))
            if row["kind"] == "condition":
                _put(found["months"], row, at - first, _value(row["listed_months"]))
            elif row["model"] == TODAY:
                _put(found["months"], row, at, _value(row["listed_months"]))
        names = [[kind, name, sex, int(float(age)) if age else None] for kind, name, sex, age in parts]
        return {"names": names, "first_condition": first, **found}

    def data(self) -> dict[str, Any]:
        """All the script reads."""
        shown, hidden = self.centres()
        return {
            "lang": self.lang, "simulated": self.contents.kind == "simulation",
            "models": self.models(), "published": PUBLISHED, "today": TODAY, "proposal": PROPOSAL, "counts": COUNTS,
            "labels": {m: self.phrases.text.name("models", m) for m in self.results.part("models")},
            "conditions": self.conditions(), "examples": self.examples(), "months": self.months(),
            "by_days": self.results.at("settings", "months") == "days",
            "centres": shown, "hidden": hidden, "parts": self.parts({c["id"] for c in shown}),
        }
