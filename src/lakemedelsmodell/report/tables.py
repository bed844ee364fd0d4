"""The amounts: the region's two worked examples, by age and sex, and per condition with how sure they are."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lakemedelsmodell.conditions import THEMES
from lakemedelsmodell.facts import BAND_FROM
from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Figure, Row, Section, Table, columns
from lakemedelsmodell.report.contents import DEFENDED, PROPOSAL, PUBLISHED, TODAY, Gaps
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import capital, small

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page


def examples(page: Page) -> Section | None:
    found = page.results.parts("examples")
    if not found:
        return None
    section = page.section("examples")
    section.say(page.text("examples.intro"))
    for number, example in enumerate(found, start=1):
        section.add("table", _example_table(page, example, f"table-example-{number}"))
    section.add("note", page.text("examples.note"))
    return section


def _example_table(page: Page, example: Gaps, ident: str) -> Table:
    t, n = page.text, page.number
    models = [m for m in page.contents.models if m != "flat" and example.at("models", m)]
    held = example.at("conditions") or []
    parts: dict[str, tuple[str, dict[str, Any]]] = {}
    for m in models:
        for i, part in enumerate(example.part("models", m).parts("parts")):
            words = page.label(part)
            base = i == 0 and part.at("name") not in held
            words = words[:1].lower() + words[1:] if base else words
            # The base amount has one row, whatever each model calls the part.
            key, words = ("", t.plain("examples.base", label=words)) if base else (str(part.at("name")), words)
            parts.setdefault(key, (words, {}))[1][m] = part.at("sek")
    rows = [Row(words, tuple(n.whole_or(by[m], 2) if m in by else "" for m in models))
            for words, by in parts.values()]
    sums = (n.whole_or(example.at("models", m, "total"), 2) for m in models)
    total = Row(t.plain("examples.total"), tuple(sums), total=True)
    notes = (t("examples.not_part"),) if any("" in row.cells for row in rows) else ()
    return page.table(ident, "examples.caption", "examples.part", columns(page.model(m) for m in models),
                      (*rows, total), notes, who=example.at("who") or "")


def amounts(page: Page) -> Section | None:
    t, n, contents = page.text, page.number, page.contents
    models = contents.payable
    if not models:
        return None
    section = page.section("amounts")
    section.say(t("amounts.intro"))
    cells = {m: contents.cells(m) for m in models}
    section.add("figure", _age_figure(page, cells))

    heads = [_short(page, m) for m in models]
    rows = [Row(t.plain("amounts.band_last" if age == BAND_FROM[-1] else "amounts.band", first=age, last=age + 4),
                tuple(n.about(cells[m].get((age, sex)), contents.half_width(m, (age, sex)), 1)
                      for sex in "KM" for m in models))
            for age in BAND_FROM]
    negative = any(sek < 0 for of in cells.values() for sek in of.values())
    notes = (t("amounts.note"), *(t(f"amounts.{key}") for key, say in (
        ("intervals", contents.results.part("amount_intervals")), ("negative", negative),
        ("flat", "flat" in contents.models)) if say))
    section.add("table", page.table(
        "table-age-sex", "amounts.caption_age_sex", "amounts.age",
        (*columns(heads, t.plain("amounts.women")), *columns(heads, t.plain("amounts.men"))), rows, notes))
    _add_ons(page, section)
    return section


def _short(page: Page, model: str) -> str:
    """The name of a model at the head of a narrow column; the published table by its year."""
    dated = (r["valid_from"][:4] for r in page.contents.amounts(model, "age_sex") if r.get("valid_from"))
    year = next(dated, None) or page.results.at("settings", "published_year") if model == PUBLISHED else None
    return page.text.plain("amounts.published_year", year=year) if year else page.text.name("short", model)


def _age_figure(page: Page, cells: dict[str, dict[tuple[int, str], float]]) -> Figure:
    t = page.text
    looks = {PUBLISHED: "published", TODAY: "today", PROPOSAL: "proposal"}
    looks = {m: look for m, look in looks.items() if m in cells}
    words = Words(page.number.number, value=capital(t.plain(f"{page.contents.kind}.unit")),
                          rank=t.plain("amounts.age_axis"))

    def draw(figure: Any, *shape: int) -> None:
        panels = figure.subplots(*shape, sharey=True)
        for ax, sex, title in zip(panels, "KM", ("amounts.women", "amounts.men"), strict=True):
            profiles = {_short(page, m): [cells[m].get((age, sex), math.nan) for age in BAND_FROM] for m in looks}
            half = {_short(page, m): [page.contents.half_width(m, (age, sex)) for age in BAND_FROM] for m in looks}
            figures.amounts_by_age(BAND_FROM, profiles, {_short(page, m): look for m, look in looks.items()}, words,
                                   half_widths=half, title=t.plain(title), ax=ax)
        panels[0].legend(loc="upper left")
        if shape == (1, 2):
            panels[1].set_ylabel("")

    caption = t.plain("amounts.figure_caption" if page.contents.add_ons(PROPOSAL) else "amounts.figure_caption_plain")
    if page.results.part("amount_intervals"):
        caption += " " + t.plain("amounts.figure_shaded")
    return page.figure("amounts-by-age", caption, t.plain("amounts.figure_alt"),
                       3.2, lambda f: draw(f, 1, 2), 5.4, lambda f: draw(f, 2, 1))


def _add_ons(page: Page, section: Section) -> None:
    t, contents = page.text, page.contents
    payers = [m for m in (PROPOSAL, DEFENDED) if contents.add_ons(m)]
    if PROPOSAL not in payers:
        return
    described = {str(x.at("name")): x for x in page.results.parts("conditions")}
    rules = Counter(str(x.at(f"rule_{page.lang}") or "") for x in described.values())
    common = rules.most_common(1)[0][0] if rules else ""
    by_theme: dict[str, list[Row]] = {theme: [] for theme in THEMES}
    for name in contents.add_ons(PROPOSAL):
        entry = described.get(name, Gaps(None))
        theme = entry.at("theme") if entry.at("theme") in THEMES else "other"
        by_theme[theme].append(_add_on_row(page, name, entry, payers, common))
    themed = any(by_theme[theme] for theme in THEMES if theme != "other")
    rows = [row for theme, of in by_theme.items() if of
            for row in ([Row(t.plain(f"themes.{theme}"))] if themed else []) + of]
    heads = page.heads("amounts.col_", "persons", "proposal", *(("defended",) if DEFENDED in payers else ()),
                       "cover_today", "cover_proposal")
    if described:
        heads = (*page.heads("amounts.col_", "rule", wide=True), *heads)
    else:  # a cohort says which persons have a condition, not how it was found
        rows = [replace(row, cells=row.cells[1:]) for row in rows]
    section.add("h3", t("amounts.add_ons_head"))
    _sureness(page, section)
    own = page.results.at("condition_statement", page.lang) or t("amounts.add_ons_note")
    section.add("table", page.table("table-add-ons", "amounts.add_ons_caption", "amounts.condition", heads, rows,
                                    (*((t("amounts.common_rule", rule=common),) if common else ()),
                                     t("amounts.cover_note"), *((own,) if contents.kind != "cohort" else ()))))


def _add_on_row(page: Page, name: str, entry: Gaps, payers: list[str], common: str) -> Row:
    n, contents = page.number, page.contents
    codes, rule = ", ".join(map(str, entry.at("atc") or [])), str(entry.at(f"rule_{page.lang}") or "")
    if entry.at("exclude"):
        codes += " " + page.text.plain("amounts.except", codes=", ".join(map(str, entry.at("exclude"))))
    if common and rule.startswith(common):  # stands in the note under the table; here only what comes on top of it
        more = rule.removeprefix(common).strip()
        rule = page.text.plain("amounts.rule_and", more=more) if more else ""
    how = Markup('{}<span class="why">{}</span>').format(codes, rule) if codes or rule else DASH
    group = ("predictive_ratios", f"condition:{name}", "ratio")
    ratios = (page.results.at("models", m, *group) for m in (TODAY, PROPOSAL))
    amounts = (n.about(contents.add_ons(m).get(name), contents.half_width(m, name), 1) for m in payers)
    shown = [*amounts, *(n.number(r, 2) for r in ratios)]
    if contents.too_few(name):
        shown = [DASH] * len(shown)
    label = page.label(entry) if entry else name.replace("_", " ")
    return Row(label, (how, n.persons(contents.persons_with(name)), *shown))


def _sureness(page: Page, section: Section) -> None:
    """How sure the add-ons are, and how far the amounts move from one half-year to the next."""
    t, n, contents = page.text, page.number, page.contents
    sure = {name: (sek, half) for name, sek in contents.add_ons(PROPOSAL).items()
            if known(half := contents.half_width(PROPOSAL, name)) and not contents.too_few(name)}
    if len(sure) > 1:
        names = sorted(sure, key=lambda name: -sure[name][0])
        words = Words(n.number, value=capital(t.plain(f"{contents.kind}.unit")))
        draw = partial(figures.weights, [page.condition(name) for name in names], [sure[name][0] for name in names],
                       [sure[name][1] for name in names], words)
        surest, *_, least = sorted(names, key=lambda name: sure[name][1] / max(abs(sure[name][0]), 1))
        caption = t.plain("amounts.weights_caption", **{
            key: f"{small(page.condition(name))} ({n.about(*sure[name], 1)})"
            for key, name in (("surest", surest), ("least_sure", least))})
        section.add("figure", page.figure("weights", caption, t.plain("amounts.weights_alt"),
                                          0.9 + 0.2 * len(names), lambda f: draw(ax=f.subplots())))
    thin = [page.condition(x.at("condition")) for x in page.results.parts("credibility")
            if x.at("thin") is True and not contents.too_few(str(x.at("condition")))]
    if thin:
        section.say(t("amounts.thin", conditions=", ".join(thin)))
    moved = page.results.part("stability", PROPOSAL)
    ends = ("correlation", "median_abs_change", "largest_abs_change")
    if all(known(moved.at(k)) for k in ends):
        section.say(t("amounts.stable", correlation=n.number(moved.at("correlation"), 2),
                      median=n.number(moved.at("median_abs_change"), 1),
                      largest=n.number(moved.at("largest_abs_change"))))
