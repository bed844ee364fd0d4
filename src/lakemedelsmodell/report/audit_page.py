"""An audit as files a reviewer can use: audit.csv, audit.json and one page per language."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from lakemedelsmodell.folders import neutral, to_json
from lakemedelsmodell.manipulation.audit import LOOK_AT, TESTS, WINDOW_MONTHS, Audit
from lakemedelsmodell.manipulation.detection import ENOUGH_CENTRES
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.palette import INK, OTHER_COLOUR, TODAY_COLOUR
from lakemedelsmodell.report import drawing
from lakemedelsmodell.report.blocks import Column, Figure, Row, Section, Table, columns, templates
from lakemedelsmodell.report.numbers import DASH, Numbers
from lakemedelsmodell.report.phrases import capital
from lakemedelsmodell.report.texts import LANGUAGES, texts_of

SHOWN = 60
"""Rows of the list on the page."""
LEAST_Q = 0.0001
"""Smaller chances of error are not told apart."""
TABLE_TEST = "change"
"""The test whose blind spot and picture the page shows; audit.json has all."""


def write_audit(audit: Audit, folder: Path, langs: Sequence[str] = LANGUAGES) -> list[Path]:
    """Write audit.csv, audit.json and ``audit.<lang>.html`` into ``folder``; returns the paths."""
    listed, told = folder / "audit.csv", folder / "audit.json"
    neutral(audit.findings).to_csv(listed, index=False, lineterminator="\n", float_format="%.6g")
    told.write_text(to_json({"schema": 1, **audit.results()}), encoding="utf-8", newline="\n")
    pages = [folder / f"audit.{lang}.html" for lang in langs]
    for lang, page in zip(langs, pages, strict=True):
        page.write_text(render_audit(audit, lang), encoding="utf-8", newline="\n")
    return [listed, told, *pages]


def render_audit(audit: Audit, lang: str) -> str:
    """The audit as a self-contained HTML page in ``sv`` or ``en``; the same audit gives the same bytes."""
    page = _Page(audit, lang)
    return templates().get_template("report.html").render(
        lang=lang, head=page.head(), answer=page.answer(),
        sections=[page.list(), page.look(), page.picture(), page.hide(), page.data()])


class _Page:
    def __init__(self, audit: Audit, lang: str):
        self.audit, self.lang = audit, lang
        self.texts, self.number = texts_of("audit", lang), Numbers(lang)
        when = audit.windows
        self.values = {"after": str(when.after).replace("..", "–"), "before": str(when.before).replace("..", "–"),
                       "day": when.listed_on.isoformat(), "level": self.number.percent(audit.level, 0)}

    def t(self, key: str, **values: object) -> Markup:
        """A text with its placeholders filled; values are escaped."""
        return Markup(self.texts[key]).format(**{**self.values, **values})

    def plain(self, key: str, **values: object) -> str:
        return str(self.texts[key]).format(**{**self.values, **values})

    def group(self, name: str) -> str:
        return self.audit.conditions[name].label(self.lang)

    def head(self) -> dict[str, Any]:
        months, centres = self.audit.windows.after.n_months, len(self.audit.centres)
        warnings = [*([("warn_short", {"months": months})] if months < WINDOW_MONTHS else []),
                    *([("warn_few", {"centres": centres})] if centres < ENOUGH_CENTRES else [])]
        words = ("title", "kicker", "subtitle", "banner_head", "banner", "warnings_head", "contents_head", "skip",
                 "gaps")
        return {**{key: self.t(key) for key in words}, "scenario": "",
                "warnings": [(self.lang, self.t(key, **values)) for key, values in warnings],
                "scroll": partial(self.plain, "scroll"),
                "made": self.t("made", version=version("lakemedelsmodell"))}

    def answer(self) -> dict[str, Any]:
        a, n = self.audit, self.number
        found, stake = len(a.findings), a.sek_at_stake
        kind = "some" if found else "none"
        facts = [("tested", n.number(a.tested), {}),
                 ("found", n.number(found + a.hidden), {"hidden": n.number(a.hidden)}),
                 ("persons", n.number(a.persons), {}),
                 *([("stake", n.money(stake), {})] if found and np.isfinite(stake) else [])]
        return {
            "outcome": kind, "head": self.t("answer_head"), "tag": self.t(f"tag_{kind}"),
            "sentence": self.t(f"sentence_{kind}", found=n.number(found), tested=n.number(a.tested),
                               centres=n.number(a.findings["centre_id"].nunique())),
            "facts": [(self.t(f"fact_{k}"), value, self.t(f"fact_{k}_note", **more)) for k, value, more in facts],
            "scope": self.t("scope"), "reading_head": self.t("reading_head"), "reading": self.texts["reading"]}

    def heads(self, *keys: str) -> tuple[Column, ...]:
        """Columns headed by the texts ``col_`` + key."""
        return columns(self.plain(f"col_{key}") for key in keys)

    def error(self, q: float) -> str:
        return self.number.percent(q, 2) if q >= LEAST_Q else f"<{self.number.percent(LEAST_Q, 2)}"

    def list(self) -> Section:
        a, n, section = self.audit, self.number, Section("list", self.plain("list_head"))
        if a.findings.empty:
            section.say(self.t("list_none"))
            return section
        section.say(self.t("list_intro"))
        rows = tuple(Row(str(f.name or f.centre_id), (
            n.number(f.observed), n.number(f.expected, 1), n.number(f.out_of), self.error(f.q),
            n.number(f.sek_at_stake)), note=f"{self.group(f.condition)}: {self.texts[f'tests.{f.test}']}")
            for f in a.findings.head(SHOWN).itertuples())
        section.add("table", Table("table-list", self.plain("list_caption"), self.plain("col_centre"), self.heads(
            "observed", "expected", "out_of", "q", "stake"), rows, (self.plain("note_q"),)))
        if len(a.findings) > SHOWN:
            section.add("note", self.t("list_more", shown=n.number(SHOWN), all=n.number(len(a.findings))))
        return section

    def look(self) -> Section:
        section = Section("look", self.plain("look_head"))
        section.add("glossary", [(capital(self.texts[f"tests.{name}"]),
                                  f"{self.texts[f'how.{name}']} {LOOK_AT[name][self.lang]}") for name in TESTS])
        return section

    def picture(self) -> Section:
        a, section = self.audit, Section("picture", self.plain("picture_head"))
        f, q = a.funnels[TABLE_TEST], a.q[TESTS.index(TABLE_TEST)]
        shown = ~np.isnan(q) & (f.observed >= FEWEST_PERSONS)
        words = drawing.Words(self.number.number, value=capital(self.plain("picture_y")),
                              rank=capital(self.plain("picture_x")), today=self.plain("picture_other"),
                              proposal=self.plain("picture_found"))
        draw = partial(_excess, f.expected[shown], f.z[shown], q[shown] <= a.level, words)
        section.add("figure", Figure(
            "excess", drawing.drawn(lambda g: draw(g.subplots()), (7.4, 4.2), f"excess-{self.lang}-w"),
            drawing.drawn(lambda g: draw(g.subplots()), (3.7, 3.8), f"excess-{self.lang}-n"),
            self.plain("picture_caption"), self.plain("picture_alt", cells=self.number.number(int(shown.sum())))))
        return section

    def hide(self) -> Section:
        n, section = self.number, Section("hide", self.plain("hide_head"))
        seen = self.audit.sensitivity()
        rows = tuple(Row(self.group(s.condition), (
            n.number(s.expected, 1), n.percent(s.spread_percent / 100, 0), n.number(s.detectable_excess),
            n.percent(s.as_share), n.number(round(s.sek_hidden, -2))) if s.centres else (DASH,) * 5)
            for s in seen[seen["test"] == TABLE_TEST].itertuples())
        section.say(self.t("hide_intro"))
        if rows:
            section.add("table", Table("table-hide", self.plain("hide_caption"), self.plain("col_group"), self.heads(
                "expected", "usual", "excess", "share", "hidden"), rows, (self.plain("note_usual"),)))
        section.add("h3", self.t("weak_head"))
        section.add("list", self.texts["weak"])
        return section

    def data(self) -> Section:
        a, section = self.audit, Section("data", self.plain("data_head"))
        section.say(self.t("data_windows"), self.t("data_history", count=self.number.number(a.without_history)))
        if left := [self.texts[f"tests.{name}"] for name in TESTS if name not in a.tests]:
            section.say(self.t("data_left_out", tests=", ".join(left)))
        section.say(self.t("data_set", name=a.conditions.name))
        return section


def _excess(expected: np.ndarray, z: np.ndarray, found: np.ndarray, words: drawing.Words, ax: Any) -> Any:
    """Standardised excess against the expected number, those found filled; draws on ``ax`` and returns it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for height, style in ((0, "-"), (2, ":"), (-2, ":")):
        ax.axhline(height, color=INK, lw=0.9, ls=style)
    ax.scatter(expected[~found], z[~found], s=10, facecolors="none", edgecolors=OTHER_COLOUR, linewidths=0.6,
               alpha=0.6, label=words.today)
    ax.scatter(expected[found], z[found], s=34, color=TODAY_COLOUR, label=words.proposal, zorder=3)
    ax.set(xscale="log", xlabel=words.rank, ylabel=words.value)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value, 0 if value >= 1 else 1)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))
    ax.grid(True, axis="y")
    if found.any():
        ax.legend(loc="upper left")
    return ax
