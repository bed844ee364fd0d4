"""What each section of the report says: a run's contents put into words, tables and figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from markupsafe import Markup

from lakemedelsmodell.facts import BAND_FROM
from lakemedelsmodell.report import figures
from lakemedelsmodell.report.contents import DEFENDED, PROPOSAL, PUBLISHED, TODAY, CentreNet, Gaps
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import Phrases, verdict
from lakemedelsmodell.report.tables import Column, Row, Table, columns

SECTIONS = (
    "compared",
    "centres",
    "measures",
    "examples",
    "amounts",
    "beside",
    "starter",
    "calibration",
    "basis",
    "data",
    "settings",
    "glossary",
)
THEMES = ("diabetes", "cardiovascular", "anticoagulation", "inflammatory", "cancer", "other")

REGIONS_OWN = ("2026-01-01", "2026-03-01")
"""The months of the region's own comparison (7 May 2026), [start, end)."""

WIDE, NARROW = 7.4, 3.7
"""Widths of figures in inches: a page, a telephone."""


@dataclass(frozen=True)
class Figure:
    """One figure in two widths, with what it shows in words."""

    ident: str
    wide: str
    narrow: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it; ``blocks`` are (kind, content) in reading order."""

    ident: str
    head: str
    blocks: list[tuple[str, Any]] = field(default_factory=list)

    def say(self, text: object, kind: str = "p") -> None:
        self.blocks.append((kind, text))


class Page(Phrases):
    """Puts one run into one language."""

    def spread(self, model: str, measure: str = "sd", of: Gaps | None = None) -> Any:
        return (of if of is not None else self.results).at("models", model, "spread", measure)

    def figure(
        self,
        ident: str,
        caption: str,
        alt: str,
        wide: Callable[[Any], object],
        narrow: Callable[[Any], object],
        height: float,
        narrow_height: float,
    ) -> Figure:
        name = f"{ident}-{self.lang}"
        return Figure(
            ident,
            figures.drawn(wide, (WIDE, height), f"{name}-w"),
            figures.drawn(narrow, (NARROW, narrow_height), f"{name}-n"),
            str(caption),
            str(alt),
        )

    # Blocks

    def heads(self, family: str, *keys: str, group: str = "", wide: bool = False) -> tuple[Column, ...]:
        """Columns headed by the texts ``family`` + key."""
        return tuple(Column(self.text.plain(family + key), group, wide) for key in keys)

    def table(
        self,
        ident: str,
        caption: str,
        stub: str,
        columns: tuple[Column, ...],
        rows: Iterable[Row],
        notes: tuple[str, ...] = (),
        **values: object,
    ) -> Table:
        """A table whose caption and first column are headed by texts; ``values`` fill the caption."""
        return Table(ident, self.text.plain(caption, **values), self.text.plain(stub), columns, tuple(rows), notes)

    # The top of the page

    def head(self) -> dict[str, Any]:
        t, period = self.text, self.period(self.results.part("period"))
        subtitle = (
            t("page.subtitle_plain")
            if period == DASH or self.contents.kind == "cohort"
            else t("page.subtitle", period=period)
        )
        version = self.results.at("run", "versions", "lakemedelsmodell") or ""
        title = self.results.at("run", "scenario_title", self.lang) if self.contents.kind == "simulation" else None
        return {
            "title": t("page.title"),
            "kicker": t("page.kicker"),
            "subtitle": subtitle,
            "scenario": t("page.scenario", title=title) if title else "",
            "banner_head": t(f"banner.{self.contents.kind}.head"),
            "banner": t(f"banner.{self.contents.kind}.text"),
            "contents_head": t("page.contents"),
            "skip": t("page.skip"),
            "made": t("page.made", version=version),
            "warnings_head": t("page.warnings"),
            "warnings": self.warnings(),
            "gaps": t("measures.gaps"),
            "scroll": partial(t.plain, "page.scroll"),
        }

    def warnings(self) -> list[tuple[str, str]]:
        """(language, text) of every warning, the known ones in the report's language."""
        patterns, said = self.text.listed("warnings.patterns"), []
        for warning in self.results.at("warnings") or []:
            if isinstance(warning, dict):
                said.append((self.lang, str(warning.get(self.lang) or next(iter(warning.values()), ""))))
                continue
            for pattern, words in patterns:
                if match := re.fullmatch(pattern, str(warning)):
                    said.append((self.lang, words.format(*match.groups())))
                    break
            else:
                said.append(("en", str(warning)))
        return said

    def answer(self) -> dict[str, Any]:
        t, n, c, head = self.text, self.number, self.contents, self.headline
        outcome = verdict(head)
        period = self.period(self.results.part("period"))
        where = t(f"{c.kind}.where_plain") if period == DASH else t(f"{c.kind}.where", period=period)
        sentence = t(
            f"answer.{outcome}", where=where, change=self.change(head.at("log_sd_ratio")), interval=self.interval(head)
        )

        facts: list[tuple[str, str, str]] = []
        sd = [self.spread(m) for m in (TODAY, PROPOSAL)]
        if all(map(known, sd)):
            today, proposal = (n.number(x, 2) for x in sd)
            facts.append(
                (
                    t("answer.fact_sd"),
                    t("answer.fact_sd_value", today=today, proposal=proposal),
                    t("answer.fact_sd_note"),
                )
            )
        if known(head.at("log_sd_ratio")):
            facts.append(
                (
                    t("answer.fact_change"),
                    self.change(head.at("log_sd_ratio")),
                    t("answer.fact_change_note", interval=self.interval(head)),
                )
            )
        if known(head.at("redistribution_sek")):
            facts.append(
                (
                    t("answer.fact_moved"),
                    t("answer.fact_moved_value", millions=n.millions(head.at("redistribution_sek"))),
                    t("answer.fact_moved_note", budget=n.millions(self.results.at("totals", "budget_sek"), 0)),
                )
            )
        if known(head.at("centres_changing_sign")):
            facts.append(
                (
                    t("answer.fact_sign"),
                    t(
                        "answer.fact_sign_value",
                        count=n.number(head.at("centres_changing_sign")),
                        centres_count=n.number(self.results.at("totals", "centres")),
                    ),
                    t("answer.fact_sign_note"),
                )
            )

        reading = []
        if known(random := head.at("random_list_ratio")) and 0 < random < 1:
            reading.append(t("answer.reading_random", random=self.change(math.log(random))))
        for model, against, key in ((PROPOSAL, PUBLISHED, "published"), (DEFENDED, TODAY, "defended")):
            other = c.contrast(model, against)
            if verdict(other) in ("for", "against", "undecided"):
                reading.append(
                    t(
                        f"answer.reading_{key}",
                        change=self.change(other.at("log_sd_ratio")),
                        interval=self.interval(other),
                    )
                )
        if c.kind == "cohort":
            reading += [t("answer.reading_folds"), t("answer.reading_style")]
        else:
            reading += [t("answer.reading_style"), t("answer.reading_more")]
        return {
            "outcome": outcome,
            "head": t("answer.head"),
            "tag": t(f"answer.tag_{outcome}"),
            "sentence": sentence,
            "scope": t("answer.scope"),
            "facts": facts,
            "reading_head": t("answer.reading"),
            "reading": reading,
        }

    # The sections

    def sections(self) -> list[Section]:
        """Every section that has something to say."""
        built = [getattr(self, name)() for name in SECTIONS]
        return [section for section in built if section is not None]

    def compared(self) -> Section:
        t, results = self.text, self.results
        section = Section("compared", t.plain("compared.head"))
        if self.contents.kind == "cohort":
            section.say(t("compared.p_cohort"))
            return section
        alpha = results.at("totals", "cost_responsibility")
        share = t("compared.p1_alpha", alpha=self.number.percent(alpha, 0)) if known(alpha) else ""
        section.say(t("compared.p1", alpha=share))
        section.say(t("compared.p2"))
        section.say(t("compared.p3"))
        fit, lookback, period = (self.period(results.part(k)) for k in ("fit_period", "lookback", "period"))
        variants = [v for v in results.at("variants") or results.at("period", "variants") or [] if isinstance(v, str)]
        plain = DASH in (fit, lookback, period) or "concurrent" in variants or "concurrent flags" in variants
        section.say(t("compared.p4_short") if plain else t("compared.p4", fit=fit, lookback=lookback, period=period))
        for variant in variants:
            key = f"compared.variant_{variant.replace(' ', '_').replace('-', '')}"
            if key in t:
                section.say(t(key), "note")
        return section

    def centres(self) -> Section:
        t, n = self.text, self.number
        section = Section("centres", t.plain("centres.head"))
        shown, hidden = self.contents.centres()
        section.say(t("centres.intro"))
        if len(shown) > 1:
            section.say(self._centre_picture(shown), "figure")
        else:
            section.say(t("centres.none"))
        if hidden:
            section.say(t("centres.hidden", count=n.number(hidden)), "note")
        if len(shown) > 1:
            section.say((t("centres.table"), self._centre_table(shown)), "details")
        return section

    def _centre_picture(self, shown: list[CentreNet]) -> Figure:
        t, n = self.text, self.number
        words = figures.Words(
            number=n.number,
            value=t.plain("centres.axis"),
            today=t.plain("centres.today"),
            proposal=t.plain("centres.proposal"),
            rank=_capital(t.plain("centres.rank")),
            band=t.plain("centres.band"),
            spread=t.plain("centres.pile"),
        )
        cost, months, alpha = (
            self.results.at("totals", k) for k in ("cost_sek", "listed_months", "cost_responsibility")
        )
        within = 0.02 * alpha * cost / months if all(map(known, (cost, months, alpha))) and months else None
        few = len(shown) <= figures.NAMED_CENTRES
        draw = partial(
            figures.centre_nets,
            [c.today for c in shown],
            [c.proposal for c in shown],
            words,
            names=[c.name for c in shown],
            within=within,
        )
        tall = 1.3 + 0.2 * len(shown) if few else 0
        sd = {k: n.number(self.spread(m), 2) for k, m in (("today", TODAY), ("proposal", PROPOSAL))}
        outcome = verdict(self.headline)
        key = outcome if outcome in ("for", "against", "undecided") and DASH not in sd.values() else "unknown"
        caption = [
            t("centres.caption_unknown") if key == "unknown" else t(f"centres.caption_{key}", **sd),
            t("centres.caption_sorted", count=n.number(len(shown))),
        ]
        if within:
            caption.append(t("centres.caption_within"))
        return self.figure(
            "all-centres",
            " ".join(caption),
            t.plain("centres.alt", count=n.number(len(shown))),
            lambda f: draw(lying=few, ax=f.subplots()),
            lambda f: draw(lying=True, ax=f.subplots()),
            tall or 4.4,
            tall or 6.4,
        )

    def _centre_table(self, shown: list[CentreNet]) -> Table:
        t, n = self.text, self.number
        nets = [t.plain(f"centres.col_{k}") for k in ("today", "proposal", "difference")]
        rows = []
        for c in shown:
            month = (c.today, c.proposal, c.proposal - c.today)
            total = (c.today_sek, c.proposal_sek, c.proposal_sek - c.today_sek)
            rows.append(
                Row(
                    c.name,
                    (
                        n.number(c.listed_months),
                        *(n.number(x, 2, sign=True) for x in month),
                        *(n.number(x / 1000, sign=True) for x in total),
                    ),
                )
            )
        return self.table(
            "table-centres",
            "centres.table_caption",
            "centres.col_name",
            (
                *self.heads("", "centres.col_months"),
                *columns(nets, t.plain("centres.group_month")),
                *columns(nets, t.plain("centres.group_total")),
            ),
            tuple(rows),
        )

    def measures(self) -> Section:
        t = self.text
        section = Section("measures", t.plain("measures.head"))
        section.say(t("measures.intro"))
        models = self.contents.models
        shares = {"within_2pct", "within_5pct", "share_positive"}

        def row(key: str, path: tuple[str, ...], write: Callable[[Any], str]) -> Row:
            note = t.plain(f"measures.{key}_note") if f"measures.{key}_note" in t else ""
            return Row(
                t.plain(f"measures.{key}"), tuple(write(self.results.at("models", m, *path)) for m in models), note
            )

        n = self.number
        decimals = {k: partial(n.number, decimals=k) for k in (1, 2, 3, 4)}
        rows = [Row(t.plain("measures.group_spread"))]
        rows += [
            row(k, ("spread", k), n.percent if k in shares else decimals[2])
            for k in (
                "sd",
                "weighted_sd",
                "mad",
                "p90_p10",
                "mean_abs",
                "min",
                "max",
                "within_2pct",
                "within_5pct",
                "share_positive",
            )
        ]
        rows.append(Row(t.plain("measures.group_fit")))
        rows += [row(k, ("fit", k), decimals[d]) for k, d in (("r2", 3), ("cpm", 3), ("mae", 1))]
        rows.append(Row(t.plain("measures.group_level")))
        rows += [
            row("phi", ("phi",), decimals[4]),
            row("unscaled", ("unscaled", "reimbursement_sek"), n.millions),
            row("unscaled_share", ("unscaled", "spread", "share_positive"), n.percent),
        ]
        rows.append(Row(t.plain("measures.group_later")))
        rows += [row(k, (k,), decimals[2]) for k in ("noise_floor", "true_sd", "pass_through", "rmse_to_ideal")]
        section.say(
            self.table(
                "table-measures",
                "measures.caption",
                "measures.measure",
                columns([self.model(m) for m in models]),
                tuple(rows),
            ),
            "table",
        )

        compared = []
        for x in self.results.parts("contrasts"):
            random = x.at("random_list_ratio")
            compared.append(
                Row(
                    t.plain(
                        "measures.contrast_row",
                        model=self.model(str(x.at("model"))),
                        against=self.model(str(x.at("against"))).lower(),
                    ),
                    (
                        self.signed_change(x.at("log_sd_ratio")),
                        self.signed_interval(x),
                        self.signed_change(math.log(random) if known(random) and random > 0 else None),
                        n.millions(x.at("redistribution_sek")),
                        n.number(x.at("centres_changing_sign")),
                        n.number(x.at("spearman"), 2),
                    ),
                )
            )
        if compared:
            heads = [t.plain(f"measures.col_{k}") for k in ("change", "interval", "random", "moved", "sign", "rank")]
            section.say(
                self.table(
                    "table-contrasts",
                    "measures.contrasts_caption",
                    "measures.contrast",
                    columns(heads),
                    tuple(compared),
                    (t("measures.contrasts_note"),),
                ),
                "table",
            )
        return section

    def examples(self) -> Section | None:
        t, n = self.text, self.number
        found = self.results.parts("examples")
        if not found:
            return None
        section = Section("examples", t.plain("examples.head"))
        section.say(t("examples.intro"))
        for example in found:
            models = [m for m in self.contents.models if m != "flat" and example.at("models", m)]
            parts: dict[str, tuple[str, dict[str, Any]]] = {}
            for m in models:
                for i, part in enumerate(example.part("models", m).parts("parts")):
                    words = self.label(part)
                    base = i == 0 and part.at("name") not in (example.at("conditions") or [])
                    # The base amount has one row, whatever each model calls the part.
                    key = "" if base else str(part.at("name"))
                    parts.setdefault(key, (t.plain("examples.base", label=words) if base else words, {}))[1][m] = (
                        part.at("sek")
                    )
            rows = [
                Row(words, tuple(n.whole_or(by[m], 2) if m in by else "" for m in models))
                for words, by in parts.values()
            ]
            rows.append(
                Row(
                    t.plain("examples.total"),
                    tuple(n.whole_or(example.at("models", m, "total"), 2) for m in models),
                    total=True,
                )
            )
            who = str(example.at("who") or "")
            notes = (t("examples.not_part"),) if any("" in r.cells for r in rows) else ()
            section.say(
                Table(
                    f"table-example-{len(section.blocks)}",
                    t.plain("examples.caption", who=who),
                    t.plain("examples.part"),
                    columns([self.model(m) for m in models]),
                    tuple(rows),
                    notes,
                ),
                "table",
            )
        section.say(t("examples.note"), "note")
        return section

    def amounts(self) -> Section | None:
        t, n, c = self.text, self.number, self.contents
        models = c.payable
        if not models:
            return None
        section = Section("amounts", t.plain("amounts.head"))
        section.say(t("amounts.intro"))
        cells = {m: c.cells(m) for m in models}
        ages = sorted({age for by in cells.values() for age, _ in by} | set(BAND_FROM))
        section.say(self._age_figure(ages, cells), "figure")

        heads = {m: self._short(m) for m in models}
        rows = []
        for age in ages:
            words = t.plain("amounts.band_last" if age == BAND_FROM[-1] else "amounts.band", first=age, last=age + 4)
            rows.append(Row(words, tuple(n.whole_or(cells[m].get((age, sex)), 1) for sex in "KM" for m in models)))
        notes = (t("amounts.note"), *((t("amounts.flat"),) if "flat" in c.models else ()))
        section.say(
            self.table(
                "table-age-sex",
                "amounts.caption_age_sex",
                "amounts.age",
                (
                    *columns(list(heads.values()), t.plain("amounts.women")),
                    *columns(list(heads.values()), t.plain("amounts.men")),
                ),
                tuple(rows),
                notes,
            ),
            "table",
        )
        self._add_ons(section)
        return section

    def _short(self, model: str) -> str:
        if model == PUBLISHED:
            valid = next(
                (r.get("valid_from") for r in self.contents.amounts(PUBLISHED, "age_sex") if r.get("valid_from")), None
            )
            year = str(valid)[:4] if valid else self.results.at("settings", "published_year")
            if year:
                return self.text.plain("amounts.published_year", year=year)
        return self.text.name("short", model)

    def _age_figure(self, ages: list[int], cells: dict[str, dict[tuple[int, str], float]]) -> Figure:
        t = self.text
        styles = {m: s for m, s in ((PUBLISHED, "published"), (TODAY, "today"), (PROPOSAL, "proposal")) if m in cells}
        words = figures.Words(
            number=self.number.number,
            value=_capital(t.plain(f"{self.contents.kind}.unit")),
            rank=t.plain("amounts.age_axis"),
        )

        def draw(figure: Any, stacked: bool) -> None:
            panels = figure.subplots(*((2, 1) if stacked else (1, 2)), sharey=True)
            for ax, sex, title in zip(panels, "KM", ("amounts.women", "amounts.men"), strict=True):
                profiles = {self._short(m): [cells[m].get((age, sex), math.nan) for age in ages] for m in styles}
                figures.amounts_by_age(
                    ages, profiles, {self._short(m): s for m, s in styles.items()}, words, title=t.plain(title), ax=ax
                )
            panels[0].legend(loc="upper left")
            if not stacked:
                panels[1].set_ylabel("")

        caption = t.plain(
            "amounts.figure_caption" if self.contents.add_ons(PROPOSAL) else "amounts.figure_caption_plain"
        )
        return self.figure(
            "amounts-by-age",
            caption,
            t.plain("amounts.figure_alt"),
            partial(draw, stacked=False),
            partial(draw, stacked=True),
            3.2,
            5.4,
        )

    def _add_ons(self, section: Section) -> None:
        t, n, c = self.text, self.number, self.contents
        proposal, defended = c.add_ons(PROPOSAL), c.add_ons(DEFENDED)
        if not proposal:
            return
        described = {str(x.at("name")): x for x in self.results.parts("conditions")}
        by_theme: dict[str, list[str]] = {}
        for name in proposal:
            theme = described[name].at("theme") if name in described else None
            by_theme.setdefault(theme if theme in THEMES else "other", []).append(name)
        rows = []
        for theme in THEMES:
            if theme in by_theme:
                if set(by_theme) != {"other"}:
                    rows.append(Row(t.plain(f"themes.{theme}")))
                rows += [
                    self._add_on_row(name, described.get(name, Gaps(None)), proposal, defended)
                    for name in by_theme[theme]
                ]
        heads = [
            t.plain(f"amounts.col_{k}")
            for k in ("persons", "proposal", *(("defended",) if defended else ()), "cover_today", "cover_proposal")
        ]
        section.say(t.plain("amounts.add_ons_head"), "h3")
        statement = self.results.at("condition_statement", self.lang)
        notes = (t("amounts.cover_note"), *((statement or t("amounts.add_ons_note"),) if c.kind != "cohort" else ()))
        shown = (Column(t.plain("amounts.col_rule"), wide=True), *columns(heads))
        if not described:  # a cohort says which persons have a condition, not how it was found
            shown, rows = shown[1:], [replace(row, cells=row.cells[1:]) for row in rows]
        section.say(
            self.table("table-add-ons", "amounts.add_ons_caption", "amounts.condition", shown, tuple(rows), notes),
            "table",
        )

    def _add_on_row(self, name: str, entry: Gaps, proposal: dict[str, float], defended: dict[str, float]) -> Row:
        t, n = self.text, self.number
        codes = ", ".join(map(str, entry.at("atc") or []))
        if entry.at("exclude"):
            codes += f" {t.plain('amounts.except', codes=', '.join(map(str, entry.at('exclude'))))}"
        words = str(entry.at(f"rule_{self.lang}") or "")
        rule = Markup('{}<span class="why">{}</span>').format(codes, words) if codes or words else DASH
        hidden = self.contents.too_few(name)
        amounts = [n.whole_or(by.get(name), 1) for by in (proposal, *((defended,) if defended else ()))]
        cover = [
            n.number(self.results.at("models", m, "predictive_ratios", f"condition:{name}", "ratio"), 2)
            for m in (TODAY, PROPOSAL)
        ]
        shown = [DASH] * (len(amounts) + 2) if hidden else [*amounts, *cover]
        return Row(
            self.label(entry) if entry else name.replace("_", " "),
            (rule, n.persons(self.contents.persons_with(name)), *shown),
        )

    def beside(self) -> Section | None:
        t, n = self.text, self.number
        others = self.results.parts("beside")
        if not others:
            return None
        region = [(o.at("period", "start"), o.at("period", "end")) == REGIONS_OWN for o in others]
        section = Section("beside", t.plain("beside.head" if any(region) else "beside.head_other"))
        section.say(t("beside.intro" if any(region) else "beside.intro_other"))
        whole = (self.results, self.headline)
        runs = [whole, *((o, self.contents.contrast(PROPOSAL, TODAY, o)) for o in others)]
        names = [self.period(run.part("period")) for run, _ in runs]
        for name, (_, contrast), own in zip(names[1:], runs[1:], region, strict=True):
            outcome = verdict(contrast)
            decided = outcome in ("for", "against", "undecided")
            said = [
                t(
                    f"beside.{outcome if decided else 'unknown'}",
                    period=_capital(name),
                    change=self.change(contrast.at("log_sd_ratio")),
                    interval=self.interval(contrast),
                )
            ]
            if own and decided:
                said.append(t(f"beside.region_{outcome}"))
                said += [t("beside.region_simulated")] if self.contents.kind == "simulation" else []
            section.say(Markup(" ").join(said))
        if any(region):
            section.say(t("beside.short"))
        measured = (
            ("sd", partial(n.number, decimals=2)),
            ("p90_p10", partial(n.number, decimals=2)),
            ("mean_abs", partial(n.number, decimals=2)),
            ("within_2pct", n.percent),
            ("within_5pct", n.percent),
            ("share_positive", n.percent),
        )
        rows = [
            Row(
                t.plain(f"measures.{k}"),
                tuple(write(self.spread(m, k, run)) for run, _ in runs for m in (TODAY, PROPOSAL)),
            )
            for k, write in measured
        ]
        rows += [
            Row(
                t.plain("answer.fact_change"),
                tuple(self.signed_change(x.at("log_sd_ratio")) for _, x in runs),
                total=True,
                span=2,
            ),
            Row(t.plain("measures.col_interval"), tuple(self.signed_interval(x) for _, x in runs), span=2),
        ]
        pair = [t.plain("centres.col_today"), t.plain("centres.col_proposal")]
        section.say(
            self.table(
                "table-beside",
                "beside.caption",
                "measures.measure",
                tuple(col for name in names for col in columns(pair, name)),
                tuple(rows),
            ),
            "table",
        )
        return section

    def starter(self) -> Section | None:
        t, n = self.text, self.number
        described = {str(x.at("name")): self.label(x) for x in self.results.parts("conditions")}
        packs = [
            p
            for p in self.results.parts("incentives")
            if p.at("model") == PROPOSAL
            and known(p.at("flag_pays_sek"))
            and not self.contents.too_few(str(p.at("condition")))
        ]
        if not packs:
            return None

        def gain_of(pack: Gaps) -> float:
            gain = _difference(pack.at("flag_pays_sek"), pack.at("cost_if_ceiling_reached_sek"))
            return -math.inf if gain is None else gain

        packs.sort(key=lambda p: (-gain_of(p), str(p.at("condition"))))
        section = Section("starter", t.plain("starter.head"))
        section.say(t("starter.intro"))
        priced = [p for p in packs if known(p.at("cost_if_ceiling_reached_sek"))]
        gain = sum(gain_of(p) > 0 for p in priced)
        key = "starter.summary" if gain else "starter.summary_none"
        section.say(t(key, gain=n.number(gain), all=n.number(len(priced))))
        hardened = [p.at("flag_pays_sek") for p in self.results.parts("incentives") if p.at("model") == DEFENDED]
        if any(map(known, hardened)):
            still = sum(known(x) and x > 0 for x in hardened)
            section.say(t("starter.defended_some", count=n.number(still)) if still else t("starter.defended_zero"))
        names = [described.get(str(p.at("condition")), str(p.at("condition"))) for p in packs]
        if priced:
            words = figures.Words(
                number=n.number,
                value=t.plain("starter.axis"),
                today=t.plain("starter.cost"),
                proposal=t.plain("starter.pays"),
            )
            drawn = [
                (name, p) for name, p in zip(names, packs, strict=True) if known(p.at("cost_if_ceiling_reached_sek"))
            ]
            draw = partial(
                figures.starter_packs,
                [name for name, _ in drawn],
                [p.at("cost_if_ceiling_reached_sek") for _, p in drawn],
                [p.at("flag_pays_sek") for _, p in drawn],
                words,
            )
            tall = 1.1 + 0.2 * len(drawn)
            section.say(
                self.figure(
                    "starter-packs",
                    t.plain("starter.figure_caption"),
                    t.plain("starter.figure_alt"),
                    lambda f: draw(ax=f.subplots()),
                    lambda f: draw(ax=f.subplots()),
                    tall,
                    tall,
                ),
                "figure",
            )
        keys = ("pack_price_sek", "cost_first_purchase_sek", "cost_if_ceiling_reached_sek", "flag_pays_sek")
        rows = [
            Row(
                name,
                (
                    str(p.at("atc") or DASH),
                    *(n.number(p.at(k)) for k in keys),
                    n.number(_difference(p.at("flag_pays_sek"), p.at("cost_if_ceiling_reached_sek")), sign=True),
                    n.number(p.at("return_per_krona"), 1),
                ),
            )
            for name, p in zip(names, packs, strict=True)
        ]
        heads = [t.plain(f"starter.col_{k}") for k in ("price", "first", "ceiling", "pays", "gain", "return")]
        section.say(
            self.table(
                "table-starter",
                "starter.caption",
                "amounts.condition",
                (Column(t.plain("starter.col_atc"), wide=True), *columns(heads)),
                tuple(rows),
                (t("starter.note"),),
            ),
            "table",
        )
        return section

    def calibration(self) -> Section | None:
        t, n, found = self.text, self.number, self.contents.calibration
        if not found:
            return None
        section = Section("calibration", t.plain("calibration.head"))
        section.say(t("calibration.intro"))
        cells = found.parts("table")
        differing = [x for x in cells if x.at("equal") is False]
        if known(found.at("equal_cells")):
            section.say(
                t(
                    "calibration.equal" if differing else "calibration.equal_all",
                    equal=n.number(found.at("equal_cells")),
                    all=n.number(len(cells)),
                )
            )
        if differing:
            sexes = {"K": t.plain("amounts.women"), "M": t.plain("amounts.men")}
            rows = tuple(
                Row(
                    f"{sexes.get(str(x.at('sex')), x.at('sex'))}, {x.at('age_band')}",
                    (n.whole_or(x.at("published"), 2), n.whole_or(x.at("derived"), 2), n.number(x.at("se"), 2)),
                )
                for x in differing
            )
            section.say(
                self.table(
                    "table-cells",
                    "calibration.caption_table",
                    "calibration.cell",
                    self.heads("calibration.", "published", "derived", "se"),
                    rows,
                ),
                "table",
            )
        self._prevalence(section, found)
        sizes = found.part("list_sizes")

        def span(low: str, high: str) -> str:
            ends = [n.number(sizes.at(k)) for k in (low, high)]
            return DASH if DASH in ends else t.plain("change.range", low=ends[0], high=ends[1])

        facts = (
            ("total_cost", n.millions(found.at("total_cost_sek"), 0)),
            ("top1_share", n.percent(found.at("top1_share"))),
            ("list_mean", n.number(sizes.at("mean"))),
            ("list_median", n.number(sizes.at("median"))),
            ("list_middle", span("p10", "p90")),
            ("list_range", span("min", "max")),
        )
        section.say(
            self.table(
                "table-region",
                "calibration.caption_facts",
                "calibration.fact",
                self.heads("", "calibration.value"),
                tuple(Row(t.plain(f"calibration.{k}"), (v,)) for k, v in facts),
            ),
            "table",
        )
        described = {str(x.at("name")): self.label(x) for x in self.results.parts("conditions")}
        if varied := found.parts("prevalence_cv"):
            rows = tuple(
                Row(
                    described.get(str(x.at("condition")), str(x.at("condition"))),
                    tuple(n.percent(x.at(k)) for k in ("observed", "chance", "latent")),
                )
                for x in varied
            )
            section.say(
                self.table(
                    "table-variation",
                    "calibration.caption_cv",
                    "calibration.group",
                    self.heads("calibration.", "observed", "chance", "latent"),
                    rows,
                    (t("calibration.cv_note"),),
                ),
                "table",
            )
        if changes := found.parts("changes"):
            rows = tuple(
                Row(
                    described.get(str(x.at("group")), str(x.at("group"))),
                    (n.whole_or(x.at("old"), 2), n.whole_or(x.at("new"), 2), str(x.at("why") or DASH)),
                )
                for x in changes
            )
            section.say(
                self.table(
                    "table-changes",
                    "calibration.caption_changes",
                    "calibration.group",
                    (
                        *columns([t.plain("calibration.old"), t.plain("calibration.new")]),
                        Column(t.plain("calibration.why"), wide=True),
                    ),
                    rows,
                ),
                "table",
            )
        return section

    def _prevalence(self, section: Section, found: Gaps) -> None:
        t = self.text
        pairs = [
            (x.at("reference"), x.at("simulated"))
            for x in found.parts("prevalence")
            if known(x.at("reference")) and known(x.at("simulated"))
        ]
        if not pairs:
            return
        words = figures.Words(
            number=self.number.number,
            value=t.plain("calibration.axis_simulated"),
            rank=t.plain("calibration.axis_reference"),
            band=t.plain("calibration.equality"),
        )
        draw = partial(figures.calibration, [x for x, _ in pairs], [y for _, y in pairs], words)
        section.say(
            self.figure(
                "prevalence",
                t.plain("calibration.figure_caption"),
                t.plain("calibration.figure_alt"),
                lambda f: draw(ax=f.subplots()),
                lambda f: draw(ax=f.subplots()),
                4.2,
                3.7,
            ),
            "figure",
        )

    def basis(self) -> Section:
        t, kind = self.text, self.contents.kind
        section = Section("basis", t.plain("basis.head"))

        def listing(head: str, *keys: str) -> None:
            section.say(t.plain(f"basis.{head}_head"), "h3")
            section.say([item for key in keys for item in t.listed(f"basis.{key}")], "list")

        if kind == "simulation":
            listing("simulated", "simulated")
        else:
            listing("real", "real")
        if kind != "cohort":
            listing("assumed", "assumed", *(["assumed_simulation"] if kind == "simulation" else []))
            listing("missing", "missing")
            listing("open", "open")
        return section

    def data(self) -> Section:
        t, n, totals = self.text, self.number, self.results.part("totals")
        section = Section("data", t.plain("data.head"))
        facts = [
            ("centres", n.number(totals.at("centres"))),
            ("persons", n.persons(totals.at("persons"))),
            ("listed_months", n.number(totals.at("listed_months"))),
            ("dispensings", n.number(totals.at("dispensings"))),
            ("cost", n.millions(totals.at("cost_sek"))),
            ("cost_responsibility", n.percent(totals.at("cost_responsibility"), 0)),
            ("budget", n.millions(totals.at("budget_sek"))),
            ("published", n.millions(totals.at("published_sek"))),
        ]
        if self.contents.kind == "cohort":
            facts = [(k, v) for k, v in facts if k not in ("dispensings", "published")]
        section.say(
            self.table(
                "table-data",
                "data.caption",
                "data.what",
                self.heads("", "data.count"),
                tuple(Row(t.plain(f"data.{k}"), (v,)) for k, v in facts),
            ),
            "table",
        )
        for part, where, caption in (
            (totals.part("left_out"), "left_out", "data.left_out_caption"),
            (self.results.part("coverage"), "coverage", "data.coverage_caption"),
        ):
            rows = tuple(
                Row(_capital(t.name(where, kind)), (self._count(kind, count),))
                for kind, count in part.items()
                if count is None or known(count)
            )
            if rows:
                section.say(
                    Table(
                        f"table-{where.replace('_', '-')}",
                        t.plain(caption),
                        t.plain("data.kind"),
                        self.heads("", "data.number"),
                        rows,
                    ),
                    "table",
                )
            elif where == "left_out":
                section.say(t("data.none_left_out"))
        if (found := self.results.at("found")) and self.contents.kind != "simulation":
            section.say(t.plain("data.found_head"), "h3")
            section.say(t("data.found_note"), "note")
            section.say([str(sentence) for sentence in found], "english")
        return section

    def _count(self, kind: str, count: float | None) -> str:
        """A count of persons or rows, or a sum or share, as the name of the kind says."""
        if kind.endswith("_sek"):
            return self.number.number(count)
        return self.number.percent(count) if "share" in kind else self.number.persons(count)

    def settings(self) -> Section:
        t, n, run = self.text, self.number, self.results.part("run")
        section = Section("settings", t.plain("settings.head"))
        defaults = ("cost_responsibility", "published_year", "table_period", "period")

        def value(key: str, found: object) -> str:
            if found is None:
                return t.plain("settings.default") if key in defaults else DASH
            if isinstance(found, str):
                return t.name("settings_values", found) if f"settings_values.{found}" in t else found
            if isinstance(found, float):
                return n.percent(found, 0) if key == "cost_responsibility" else n.whole_or(found, 2)
            return str(found)

        rows = tuple(
            Row(_capital(t.name("settings_names", key)), (value(key, found),))
            for key, found in self.results.part("settings").items()
        )
        if rows:
            section.say(
                self.table(
                    "table-settings",
                    "settings.caption",
                    "settings.setting",
                    self.heads("", "settings.value", wide=True),
                    rows,
                ),
                "table",
            )
        versions = ", ".join(f"{name} {number}" for name, number in run.part("versions").items())
        scale = run.at("scale")
        origin: list[tuple[str, Any]] = [
            (k, self.period(self.results.part(k))) for k in ("period", "fit_period", "lookback", "fit_lookback")
        ]
        origin += [
            ("scenario", run.at("scenario")),
            ("seed", run.at("seed")),
            ("scale", n.whole_or(scale, 3) if known(scale) else None),
            ("content_hash", run.at("content_hash")),
            ("versions", versions),
        ]
        rows = tuple(Row(t.plain(f"settings.{k}"), (str(v),)) for k, v in origin if v not in (None, "", DASH))
        section.say(
            self.table(
                "table-origin",
                "settings.origin_caption",
                "settings.setting",
                self.heads("", "settings.value", wide=True),
                rows,
            ),
            "table",
        )
        return section

    def glossary(self) -> Section:
        section = Section("glossary", self.text.plain("glossary.head"))
        section.say([(Markup(term), Markup(words)) for term, words in self.text.listed("glossary.entries")], "glossary")
        return section


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _difference(a: float | None, b: float | None) -> float | None:
    return a - b if a is not None and b is not None and known(a) and known(b) else None
