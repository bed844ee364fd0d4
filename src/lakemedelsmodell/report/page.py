"""What each section of the report says: a run's contents put into words, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from markupsafe import Markup

from lakemedelsmodell.facts import BAND_FROM
from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Column, Figure, Row, Section, Table, columns
from lakemedelsmodell.report.contents import DEFENDED, PROPOSAL, PUBLISHED, TODAY, CentreNet, Gaps
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.persons import chance_section, groups_section
from lakemedelsmodell.report.phrases import DECIDED, Phrases, capital, verdict

SECTIONS = ("compared", "centres", "chance", "groups", "measures", "examples", "amounts", "beside", "starter",
            "calibration", "basis", "data", "settings", "glossary")
THEMES = ("diabetes", "cardiovascular", "anticoagulation", "inflammatory", "cancer", "other")
SHARES = ("within_2pct", "within_5pct", "share_positive")

REGIONS_OWN = ("2026-01-01", "2026-03-01")
"""The months of the region's own comparison (7 May 2026), [start, end)."""

WIDE, NARROW = 7.4, 3.7
"""Widths of figures in inches: a page, a telephone."""

Draw = Callable[[Any], object]


class Page(Phrases):
    """Puts one run into one language: the top of the page, and a method per section."""

    # Blocks

    def heads(self, family: str, *keys: str, group: str = "", wide: bool = False) -> tuple[Column, ...]:
        """Columns headed by the texts ``family`` + key."""
        return tuple(Column(self.text.plain(family + key), group, wide) for key in keys)

    def table(self, ident: str, caption: str, stub: str, heads: tuple[Column, ...], rows: Iterable[Row],
              notes: tuple[str, ...] = (), **values: object) -> Table:
        """A table; ``caption`` and ``stub`` are keys of texts, ``values`` fill the caption."""
        return Table(ident, self.text.plain(caption, **values), self.text.plain(stub), heads, tuple(rows), notes)

    def figure(self, ident: str, caption: str, alt: str, height: float, wide: Draw, narrow_height: float | None = None,
               narrow: Draw | None = None) -> Figure:
        """A figure for a page and for a telephone; heights in inches."""
        name = f"{ident}-{self.lang}"
        return Figure(ident, figures.drawn(wide, (WIDE, height), f"{name}-w"),
                      figures.drawn(narrow or wide, (NARROW, narrow_height or height), f"{name}-n"), caption, alt)

    # The top of the page

    def head(self) -> dict[str, Any]:
        """Title, banner, warnings and the words of the page itself."""
        t, kind, period = self.text, self.contents.kind, self.period(self.results.part("period"))
        plain = period == DASH or kind == "cohort"
        title = self.results.at("run", "scenario_title", self.lang) if kind == "simulation" else None
        return {
            "title": t("page.title"), "kicker": t("page.kicker"),
            "subtitle": t("page.subtitle_plain") if plain else t("page.subtitle", period=period),
            "scenario": t("page.scenario", title=title) if title else "",
            "banner_head": t(f"banner.{kind}.head"), "banner": t(f"banner.{kind}.text"),
            "warnings_head": t("page.warnings"), "warnings": self.warnings(),
            "contents_head": t("page.contents"), "skip": t("page.skip"), "gaps": t("measures.gaps"),
            "scroll": partial(t.plain, "page.scroll"),
            "made": t("page.made", version=self.results.at("run", "versions", "lakemedelsmodell") or ""),
        }

    def warnings(self) -> list[tuple[str, str]]:
        """(language, text) of every warning; those of a kind the texts do not know stand as the run said them."""
        scale, said = self.results.at("run", "scale"), list[tuple[str, str]]()
        if known(scale) and scale < 1:
            said.append((self.lang, self.text.plain("page.scaled", share=self.number.percent(scale))))
        kinds = self.results.at("warning_kinds") or []
        for number, warning in enumerate(map(str, self.results.at("warnings") or [])):
            kind = kinds[number] if number < len(kinds) else {}
            key, values = f"warnings.{kind.get('kind')}", kind.get("values") or {}
            if key in self.text:
                said.append((self.lang, self.text.plain(key, **{k: self.model(v) for k, v in values.items()})))
            else:
                said.append(("en", warning))
        return said

    def answer(self) -> dict[str, Any]:
        """The answer in one sentence, what it is in figures, and how to read it."""
        t, kind, outcome = self.text, self.contents.kind, verdict(self.headline)
        period, log_ratio = self.period(self.results.part("period")), self.headline.at("log_sd_ratio")
        where = t(f"{kind}.where_plain") if period == DASH else t(f"{kind}.where", period=period)
        change, interval = self.change(log_ratio), self.interval(self.headline)
        return {
            "outcome": outcome, "head": t("answer.head"), "tag": t(f"answer.tag_{outcome}"), "scope": t("answer.scope"),
            "sentence": t(f"answer.{outcome}", where=where, change=change, interval=interval),
            "facts": self.facts(), "reading_head": t("answer.reading"), "reading": self.reading(),
        }

    def facts(self) -> list[tuple[str, str, str]]:
        """(name, value, note) of the few figures beside the answer; unknown ones are left out."""
        t, n, totals, headline = self.text, self.number, self.results.part("totals"), self.headline
        sd = [self.spread(m) for m in (TODAY, PROPOSAL)]
        log_ratio, moved = headline.at("log_sd_ratio"), headline.at("redistribution_sek")
        found: list[tuple[str, str, str]] = []
        if all(map(known, sd)):
            today, proposal = (n.number(x, 2) for x in sd)
            found.append((t("answer.fact_sd"), t("answer.fact_sd_value", today=today, proposal=proposal),
                          t("answer.fact_sd_note")))
        if known(log_ratio):
            found.append((t("answer.fact_change"), self.change(log_ratio),
                          t("answer.fact_change_note", interval=self.interval(headline))))
        if known(moved):
            found.append((t("answer.fact_moved"), t("answer.fact_moved_value", millions=n.millions(moved)),
                          t("answer.fact_moved_note", budget=n.millions(totals.at("budget_sek"), 0))))
        if known(sign := headline.at("centres_changing_sign")):
            value = t("answer.fact_sign_value", count=n.number(sign), centres_count=n.number(totals.at("centres")))
            found.append((t("answer.fact_sign"), value, t("answer.fact_sign_note")))
        return found

    def reading(self) -> list[str]:
        """What the answer says and does not say."""
        t = self.text
        said: list[str] = []
        if known(random := self.headline.at("random_list_ratio")) and 0 < random < 1:
            said.append(t("answer.reading_random", random=self.change(math.log(random))))
        for model, against, key in ((PROPOSAL, PUBLISHED, "published"), (DEFENDED, TODAY, "defended")):
            other = self.contents.contrast(model, against)
            if verdict(other) in DECIDED:
                change = self.change(other.at("log_sd_ratio"))
                said.append(t(f"answer.reading_{key}", change=change, interval=self.interval(other)))
        cohort = self.contents.kind == "cohort"
        return said + [t(f"answer.reading_{k}") for k in (("folds", "style") if cohort else ("style", "more"))]

    # The sections

    def sections(self) -> list[Section]:
        """Every section that has something to say."""
        return [section for name in SECTIONS if (section := getattr(self, name)()) is not None]

    def _section(self, ident: str) -> Section:
        return Section(ident, self.text.plain(f"{ident}.head"))

    def compared(self) -> Section:
        t, results, section = self.text, self.results, self._section("compared")
        if self.contents.kind == "cohort":
            section.say(t("compared.p_cohort"))
            return section
        alpha = results.at("totals", "cost_responsibility")
        share = t("compared.p1_alpha", alpha=self.number.percent(alpha, 0)) if known(alpha) else ""
        section.say(t("compared.p1", alpha=share), t("compared.p2"), t("compared.p3"))
        fit, lookback, period = (self.period(results.part(k)) for k in ("fit_period", "lookback", "period"))
        variants = [v for v in results.at("variants") or [] if isinstance(v, str)]
        told = DASH not in (fit, lookback, period) and not {"concurrent", "concurrent flags"} & set(variants)
        section.say(t("compared.p4", fit=fit, lookback=lookback, period=period) if told else t("compared.p4_short"))
        for variant in variants:
            key = f"compared.variant_{variant.replace(' ', '_').replace('-', '')}"
            if key in t:
                section.add("note", t(key))
        return section

    def centres(self) -> Section:
        t, section = self.text, self._section("centres")
        shown, hidden = self.contents.centres()
        section.say(t("centres.intro"))
        if len(shown) > 1:
            section.add("figure", self._centre_picture(shown))
        else:
            section.say(t("centres.none"))
        if hidden:
            section.add("note", t("centres.hidden", count=self.number.number(hidden)))
        if len(shown) > 1:
            section.add("details", (t("centres.table"), self._centre_table(shown)))
        return section

    def _centre_picture(self, shown: list[CentreNet]) -> Figure:
        t, n, count = self.text, self.number, self.number.number(len(shown))
        words = figures.Words(n.number, rank=capital(t.plain("centres.rank")), value=t.plain("centres.axis"),
                              spread=t.plain("centres.pile"),
                              **{k: t.plain(f"centres.{k}") for k in ("today", "proposal", "band")})
        totals = ("cost_sek", "listed_months", "cost_responsibility")
        cost, months, alpha = (self.results.at("totals", k) for k in totals)
        within = 0.02 * alpha * cost / months if all(map(known, (cost, months, alpha))) and months else None
        sd = {k: n.number(self.spread(m), 2) for k, m in (("today", TODAY), ("proposal", PROPOSAL))}
        outcome = verdict(self.headline)
        told = outcome in DECIDED and DASH not in sd.values()
        caption = [t(f"centres.caption_{outcome}", **sd) if told else t("centres.caption_unknown"),
                   t("centres.caption_sorted", count=count), *([t("centres.caption_within")] if within else [])]
        few = len(shown) <= figures.NAMED_CENTRES
        tall = 1.3 + 0.2 * len(shown) if few else None
        draw = partial(figures.centre_nets, [c.today for c in shown], [c.proposal for c in shown], words,
                       names=[c.name for c in shown], within=within)
        return self.figure(
            "all-centres", " ".join(caption), t.plain("centres.alt", count=count),
            tall or 4.4, lambda f: draw(lying=few, ax=f.subplots()),
            tall or 6.4, lambda f: draw(lying=True, ax=f.subplots()))

    def _centre_table(self, shown: list[CentreNet]) -> Table:
        t, n = self.text, self.number

        def cells(c: CentreNet) -> tuple[str, ...]:
            month = (c.today, c.proposal, c.proposal - c.today)
            total = (c.today_sek, c.proposal_sek, c.proposal_sek - c.today_sek)
            return (n.number(c.listed_months), *(n.number(x, 2, sign=True) for x in month),
                    *(n.number(x / 1000, sign=True) for x in total))

        nets = ("today", "proposal", "difference")
        heads = [self.heads("centres.col_", *nets, group=t.plain(f"centres.group_{k}")) for k in ("month", "total")]
        return self.table("table-centres", "centres.table_caption", "centres.col_name",
                          (*self.heads("centres.col_", "months"), *heads[0], *heads[1]),
                          (Row(c.name, cells(c)) for c in shown))

    def chance(self) -> Section | None:
        return chance_section(self)

    def groups(self) -> Section | None:
        return groups_section(self)

    def measures(self) -> Section:
        t, n, section = self.text, self.number, self._section("measures")
        section.say(t("measures.intro"))
        models = self.contents.models

        def row(key: str, path: tuple[str, ...], write: Callable[[Any], str]) -> Row:
            note = t.plain(f"measures.{key}_note") if f"measures.{key}_note" in t else ""
            cells = (write(self.results.at("models", m, *path)) for m in models)
            return Row(t.plain(f"measures.{key}"), tuple(cells), note)

        def decimals(places: int) -> Callable[[Any], str]:
            return partial(n.number, decimals=places)

        spreads = ("sd", "weighted_sd", "mad", "p90_p10", "mean_abs", "min", "max", *SHARES)
        section.add("table", self.table(
            "table-measures", "measures.caption", "measures.measure", columns(self.model(m) for m in models),
            (Row(t.plain("measures.group_spread")),
             *(row(k, ("spread", k), n.percent if k in SHARES else decimals(2)) for k in spreads),
             Row(t.plain("measures.group_fit")),
             *(row(k, ("fit", k), decimals(places)) for k, places in (("r2", 3), ("cpm", 3), ("mae", 1))),
             Row(t.plain("measures.group_level")),
             row("phi", ("phi",), decimals(4)), row("unscaled", ("unscaled", "reimbursement_sek"), n.millions),
             row("unscaled_share", ("unscaled", "spread", "share_positive"), n.percent),
             Row(t.plain("measures.group_later")),
             *(row(k, (k,), decimals(2)) for k in ("noise_floor", "true_sd", "pass_through", "rmse_to_ideal")))))
        if self.contents.competitors and self.contents.kind != "cohort":
            shown = (("spread", "sd"), ("noise_floor",), ("spread", "p90_p10"), ("spread", "within_2pct"),
                     ("fit", "r2"))
            writes = (decimals(2), decimals(2), decimals(2), n.percent, decimals(3))
            section.add("table", self.table(
                "table-competitors", "measures.competitors_caption", "measures.model",
                self.heads("measures.", "sd", "noise_floor", "p90_p10", "within_2pct", "r2"),
                (Row(self.model(m), tuple(write(self.results.at("models", m, *path))
                                          for path, write in zip(shown, writes, strict=True)))
                 for m in (TODAY, PROPOSAL, *self.contents.competitors)), (t("measures.competitors_note"),)))
        if contrasts := self.results.parts("contrasts"):
            section.add("table", self.table(
                "table-contrasts", "measures.contrasts_caption", "measures.contrast",
                self.heads("measures.col_", "change", "interval", "random", "moved", "sign", "rank"),
                map(self._contrast_row, contrasts), (t("measures.contrasts_note"),)))
        return section

    def _contrast_row(self, contrast: Gaps) -> Row:
        n, random = self.number, contrast.at("random_list_ratio")
        model, against = (self.model(str(contrast.at(k))) for k in ("model", "against"))
        return Row(self.text.plain("measures.contrast_row", model=model, against=against.lower()), (
            self.signed_change(contrast.at("log_sd_ratio")), self.signed_interval(contrast),
            self.signed_change(math.log(random) if known(random) and random > 0 else None),
            n.millions(contrast.at("redistribution_sek")), n.number(contrast.at("centres_changing_sign")),
            n.number(contrast.at("spearman"), 2)))

    def examples(self) -> Section | None:
        found = self.results.parts("examples")
        if not found:
            return None
        section = self._section("examples")
        section.say(self.text("examples.intro"))
        for number, example in enumerate(found, start=1):
            section.add("table", self._example_table(example, f"table-example-{number}"))
        section.add("note", self.text("examples.note"))
        return section

    def _example_table(self, example: Gaps, ident: str) -> Table:
        t, n = self.text, self.number
        models = [m for m in self.contents.models if m != "flat" and example.at("models", m)]
        held = example.at("conditions") or []
        parts: dict[str, tuple[str, dict[str, Any]]] = {}
        for m in models:
            for i, part in enumerate(example.part("models", m).parts("parts")):
                words = self.label(part)
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
        return self.table(ident, "examples.caption", "examples.part", columns(self.model(m) for m in models),
                          (*rows, total), notes, who=example.at("who") or "")

    def amounts(self) -> Section | None:
        t, n, contents = self.text, self.number, self.contents
        models = contents.payable
        if not models:
            return None
        section = self._section("amounts")
        section.say(t("amounts.intro"))
        cells = {m: contents.cells(m) for m in models}
        section.add("figure", self._age_figure(cells))

        heads = [self._short(m) for m in models]
        rows = [Row(t.plain("amounts.band_last" if age == BAND_FROM[-1] else "amounts.band", first=age, last=age + 4),
                    tuple(n.whole_or(cells[m].get((age, sex)), 1) for sex in "KM" for m in models))
                for age in BAND_FROM]
        negative = any(sek < 0 for of in cells.values() for sek in of.values())
        notes = (t("amounts.note"), *((t("amounts.negative"),) if negative else ()),
                 *((t("amounts.flat"),) if "flat" in contents.models else ()))
        section.add("table", self.table(
            "table-age-sex", "amounts.caption_age_sex", "amounts.age",
            (*columns(heads, t.plain("amounts.women")), *columns(heads, t.plain("amounts.men"))), rows, notes))
        self._add_ons(section)
        return section

    def _short(self, model: str) -> str:
        """The name of a model at the head of a narrow column; the published table by its year."""
        dated = (r["valid_from"][:4] for r in self.contents.amounts(model, "age_sex") if r.get("valid_from"))
        year = next(dated, None) or self.results.at("settings", "published_year") if model == PUBLISHED else None
        return self.text.plain("amounts.published_year", year=year) if year else self.text.name("short", model)

    def _age_figure(self, cells: dict[str, dict[tuple[int, str], float]]) -> Figure:
        t = self.text
        looks = {PUBLISHED: "published", TODAY: "today", PROPOSAL: "proposal"}
        looks = {m: look for m, look in looks.items() if m in cells}
        words = figures.Words(self.number.number, value=capital(t.plain(f"{self.contents.kind}.unit")),
                              rank=t.plain("amounts.age_axis"))

        def draw(figure: Any, *shape: int) -> None:
            panels = figure.subplots(*shape, sharey=True)
            for ax, sex, title in zip(panels, "KM", ("amounts.women", "amounts.men"), strict=True):
                profiles = {self._short(m): [cells[m].get((age, sex), math.nan) for age in BAND_FROM] for m in looks}
                figures.amounts_by_age(BAND_FROM, profiles, {self._short(m): look for m, look in looks.items()}, words,
                                       title=t.plain(title), ax=ax)
            panels[0].legend(loc="upper left")
            if shape == (1, 2):
                panels[1].set_ylabel("")

        caption = "amounts.figure_caption" if self.contents.add_ons(PROPOSAL) else "amounts.figure_caption_plain"
        return self.figure("amounts-by-age", t.plain(caption), t.plain("amounts.figure_alt"),
                           3.2, lambda f: draw(f, 1, 2), 5.4, lambda f: draw(f, 2, 1))

    def _add_ons(self, section: Section) -> None:
        t, contents = self.text, self.contents
        payers = [m for m in (PROPOSAL, DEFENDED) if contents.add_ons(m)]
        if PROPOSAL not in payers:
            return
        described = {str(x.at("name")): x for x in self.results.parts("conditions")}
        by_theme: dict[str, list[Row]] = {theme: [] for theme in THEMES}
        for name in contents.add_ons(PROPOSAL):
            entry = described.get(name, Gaps(None))
            theme = entry.at("theme") if entry.at("theme") in THEMES else "other"
            by_theme[theme].append(self._add_on_row(name, entry, payers))
        themed = any(by_theme[theme] for theme in THEMES if theme != "other")
        rows = [row for theme, of in by_theme.items() if of
                for row in ([Row(t.plain(f"themes.{theme}"))] if themed else []) + of]
        heads = self.heads("amounts.col_", "persons", "proposal", *(("defended",) if DEFENDED in payers else ()),
                           "cover_today", "cover_proposal")
        if described:
            heads = (*self.heads("amounts.col_", "rule", wide=True), *heads)
        else:  # a cohort says which persons have a condition, not how it was found
            rows = [replace(row, cells=row.cells[1:]) for row in rows]
        own = self.results.at("condition_statement", self.lang) or t("amounts.add_ons_note")
        section.add("h3", t("amounts.add_ons_head"))
        section.add("table", self.table("table-add-ons", "amounts.add_ons_caption", "amounts.condition", heads, rows,
                                        (t("amounts.cover_note"), *((own,) if contents.kind != "cohort" else ()))))

    def _add_on_row(self, name: str, entry: Gaps, payers: list[str]) -> Row:
        n, contents = self.number, self.contents
        codes, rule = ", ".join(map(str, entry.at("atc") or [])), str(entry.at(f"rule_{self.lang}") or "")
        if entry.at("exclude"):
            codes += " " + self.text.plain("amounts.except", codes=", ".join(map(str, entry.at("exclude"))))
        how = Markup('{}<span class="why">{}</span>').format(codes, rule) if codes or rule else DASH
        group = ("predictive_ratios", f"condition:{name}", "ratio")
        ratios = (self.results.at("models", m, *group) for m in (TODAY, PROPOSAL))
        shown = [*(n.whole_or(contents.add_ons(m).get(name), 1) for m in payers), *(n.number(r, 2) for r in ratios)]
        if contents.too_few(name):
            shown = [DASH] * len(shown)
        label = self.label(entry) if entry else name.replace("_", " ")
        return Row(label, (how, n.persons(contents.persons_with(name)), *shown))

    def beside(self) -> Section | None:
        t, n = self.text, self.number
        others = self.results.parts("beside")
        if not others:
            return None
        own = [(o.at("period", "start"), o.at("period", "end")) == REGIONS_OWN for o in others]
        section = Section("beside", t.plain("beside.head" if any(own) else "beside.head_other"))
        section.say(t("beside.intro" if any(own) else "beside.intro_other"))
        runs = [(self.results, self.headline), *((o, self.contents.contrast(PROPOSAL, TODAY, o)) for o in others)]
        names = [self.period(run.part("period")) for run, _ in runs]
        for name, (_, contrast), regions in zip(names[1:], runs[1:], own, strict=True):
            section.say(self._beside_sentence(name, contrast, regions))
        if any(own):
            section.say(t("beside.short"))
        rows = []
        for k in ("sd", "p90_p10", "mean_abs", *SHARES):
            values = (self.spread(m, k, run) for run, _ in runs for m in (TODAY, PROPOSAL))
            cells = tuple(n.percent(x) if k in SHARES else n.number(x, 2) for x in values)
            rows.append(Row(t.plain(f"measures.{k}"), cells))
        rows += [Row(t.plain("answer.fact_change"), tuple(self.signed_change(x.at("log_sd_ratio")) for _, x in runs),
                     total=True, span=2),
                 Row(t.plain("measures.col_interval"), tuple(self.signed_interval(x) for _, x in runs), span=2)]
        heads = tuple(c for name in names for c in self.heads("centres.col_", "today", "proposal", group=name))
        section.add("table", self.table("table-beside", "beside.caption", "measures.measure", heads, rows))
        return section

    def _beside_sentence(self, period: str, contrast: Gaps, regions: bool) -> Markup:
        """Which way the other period fell and, for the region's own months, whether the region found the same."""
        t, outcome = self.text, verdict(contrast)
        said = [t(f"beside.{outcome if outcome in DECIDED else 'unknown'}", period=capital(period),
                  change=self.change(contrast.at("log_sd_ratio")), interval=self.interval(contrast))]
        if regions and outcome in DECIDED:
            said.append(t(f"beside.region_{outcome}"))
            said += [t("beside.region_simulated")] if self.contents.kind == "simulation" else []
        return Markup(" ").join(said)

    def starter(self) -> Section | None:
        t, n, incentives = self.text, self.number, self.results.parts("incentives")
        packs = [p for p in incentives if p.at("model") == PROPOSAL and known(p.at("flag_pays_sek"))
                 and not self.contents.too_few(str(p.at("condition")))]
        if not packs:
            return None

        def gain(pack: Gaps) -> float:
            cost = pack.at("cost_if_ceiling_reached_sek")
            return pack.at("flag_pays_sek") - cost if known(cost) else math.nan

        packs.sort(key=lambda p: (math.isnan(gain(p)), -gain(p), str(p.at("condition"))))
        priced = [p for p in packs if known(gain(p))]
        section = self._section("starter")
        winning = sum(gain(p) > 0 for p in priced)
        section.say(t("starter.intro"), t("starter.summary" if winning else "starter.summary_none",
                                          gain=n.number(winning), all=n.number(len(priced))))
        defended = [x for p in incentives if p.at("model") == DEFENDED and known(x := p.at("flag_pays_sek"))]
        if defended:
            still = sum(x > 0 for x in defended)
            section.say(t("starter.defended_some", count=n.number(still)) if still else t("starter.defended_zero"))
        if priced:
            words = figures.Words(n.number, value=t.plain("starter.axis"), today=t.plain("starter.cost"),
                                  proposal=t.plain("starter.pays"))
            draw = partial(figures.starter_packs, [self.condition(p.at("condition")) for p in priced],
                           [p.at("cost_if_ceiling_reached_sek") for p in priced],
                           [p.at("flag_pays_sek") for p in priced], words)
            section.add("figure", self.figure(
                "starter-packs", t.plain("starter.figure_caption"), t.plain("starter.figure_alt"),
                1.1 + 0.2 * len(priced), lambda f: draw(ax=f.subplots())))
        sums = ("pack_price_sek", "cost_first_purchase_sek", "cost_if_ceiling_reached_sek", "flag_pays_sek")
        section.add("table", self.table(
            "table-starter", "starter.caption", "amounts.condition",
            (*self.heads("starter.col_", "atc", wide=True),
             *self.heads("starter.col_", "price", "first", "ceiling", "pays", "gain", "return")),
            (Row(self.condition(p.at("condition")), (
                str(p.at("atc") or DASH), *(n.number(p.at(k)) for k in sums), n.number(gain(p), sign=True),
                n.number(p.at("return_per_krona"), 1))) for p in packs), (t("starter.note"),)))
        return section

    def calibration(self) -> Section | None:
        t, n, found = self.text, self.number, self.contents.calibration
        if not found:
            return None
        section = self._section("calibration")
        section.say(t("calibration.intro"))
        cells = found.parts("table")
        differing = [x for x in cells if x.at("equal") is False]
        if known(found.at("equal_cells")):
            key = "calibration.equal" if differing else "calibration.equal_all"
            section.say(t(key, equal=n.number(found.at("equal_cells")), all=n.number(len(cells))))
            if differing and known(within := found.at("within_3_se")):
                section.say(t("calibration.within", within=n.number(within), all=n.number(len(cells))))
        if differing:
            sexes = {"K": t.plain("amounts.women"), "M": t.plain("amounts.men")}
            section.add("table", self.table(
                "table-cells", "calibration.caption_table", "calibration.cell",
                self.heads("calibration.", "published", "derived", "se"),
                (Row(f"{sexes.get(str(x.at('sex')), x.at('sex'))}, {str(x.at('age_band')).replace('-', '–')}",
                     (n.whole_or(x.at("published"), 2), n.whole_or(x.at("derived"), 2), n.number(x.at("se"), 2)))
                 for x in differing)))
        self._prevalence(section, found)
        sizes = {k: n.number(found.at("list_sizes", k)) for k in ("mean", "median", "p10", "p90", "min", "max")}
        facts = {"total_cost": n.millions(found.at("total_cost_sek"), 0),
                 "top1_share": n.percent(found.at("top1_share")),
                 "list_mean": sizes["mean"], "list_median": sizes["median"],
                 "list_middle": self.range(sizes["p10"], sizes["p90"]),
                 "list_range": self.range(sizes["min"], sizes["max"])}
        section.add("table", self.table(
            "table-region", "calibration.caption_facts", "calibration.fact", self.heads("calibration.", "value"),
            (Row(t.plain(f"calibration.{k}"), (value,)) for k, value in facts.items())))
        variation = ("observed", "chance", "latent")
        varied = [x for x in found.parts("prevalence_cv") if not self._labels or str(x.at("condition")) in self._labels]
        if varied:
            section.add("table", self.table(
                "table-variation", "calibration.caption_cv", "calibration.group",
                self.heads("calibration.", *variation),
                (Row(self.condition(x.at("condition")), tuple(n.percent(x.at(k)) for k in variation)) for x in varied),
                (t("calibration.cv_note"),)))
        if changes := found.parts("changes"):
            section.add("table", self.table(
                "table-changes", "calibration.caption_changes", "calibration.group",
                (*self.heads("calibration.", "old", "new"), *self.heads("calibration.", "why", wide=True)),
                (Row(self.condition(x.at("group")),
                     (n.whole_or(x.at("old"), 2), n.whole_or(x.at("new"), 2),
                      Markup('<span lang="en">{}</span>').format(x.at("why") or DASH)))
                 for x in changes)))
        return section

    def _prevalence(self, section: Section, found: Gaps) -> None:
        t = self.text
        pairs = [pair for x in found.parts("prevalence")
                 if all(map(known, pair := (x.at("reference"), x.at("simulated"))))]
        if not pairs:
            return
        words = figures.Words(self.number.number, value=t.plain("calibration.axis_simulated"),
                              rank=t.plain("calibration.axis_reference"), band=t.plain("calibration.equality"))
        draw = partial(figures.calibration, [x for x, _ in pairs], [y for _, y in pairs], words)
        section.add("figure", self.figure(
            "prevalence", t.plain("calibration.figure_caption"), t.plain("calibration.figure_alt"),
            4.2, lambda f: draw(ax=f.subplots()), 3.7))

    def basis(self) -> Section:
        t, kind, section = self.text, self.contents.kind, self._section("basis")
        simulated = kind == "simulation"
        told = {"simulated" if simulated else "real": ["simulated" if simulated else "real"]}
        if kind != "cohort":
            told |= {"assumed": ["assumed", *(["assumed_simulation"] if simulated else [])],
                     "missing": ["missing"], "open": ["open"]}
        for head, keys in told.items():
            section.add("h3", t(f"basis.{head}_head"))
            section.add("list", [item for key in keys for item in t.listed(f"basis.{key}")])
        return section

    def data(self) -> Section:
        t, n, totals, section = self.text, self.number, self.results.part("totals"), self._section("data")
        facts = {
            "centres": n.number(totals.at("centres")), "persons": n.persons(totals.at("persons")),
            "listed_months": n.number(totals.at("listed_months")), "dispensings": n.number(totals.at("dispensings")),
            "cost": n.millions(totals.at("cost_sek")),
            "cost_responsibility": n.percent(totals.at("cost_responsibility"), 0),
            "budget": n.millions(totals.at("budget_sek")), "published": n.millions(totals.at("published_sek")),
        }
        if self.contents.kind == "cohort":
            del facts["dispensings"], facts["published"]
        section.add("table", self.table("table-data", "data.caption", "data.what", self.heads("data.", "count"),
                                        (Row(t.plain(f"data.{k}"), (value,)) for k, value in facts.items())))
        for where, counts in (("left_out", totals.part("left_out")), ("coverage", self.results.part("coverage"))):
            rows = [Row(capital(t.name(where, kind)), (self._count(kind, count),)) for kind, count in counts.items()
                    if count is None or known(count)]
            if rows:
                ident = f"table-{where.replace('_', '-')}"
                heads = self.heads("data.", "number")
                section.add("table", self.table(ident, f"data.{where}_caption", "data.kind", heads, rows))
            elif where == "left_out":
                section.say(t("data.none_left_out"))
        if (found := self.results.at("found")) and self.contents.kind != "simulation":
            section.add("h3", t("data.found_head"))
            section.add("note", t("data.found_note"))
            section.add("english", [str(sentence) for sentence in found])
        return section

    def _count(self, kind: str, count: float | None) -> str:
        """A count of persons or rows, or a sum or share, as the name of the kind says."""
        if kind.endswith("_sek"):
            return self.number.number(count)
        return self.number.percent(count) if "share" in kind else self.number.persons(count)

    def settings(self) -> Section:
        t, n, run, section = self.text, self.number, self.results.part("run"), self._section("settings")
        value = self.heads("settings.", "value", wide=True)
        if chosen := self.results.part("settings"):
            rows = [Row(capital(t.name("settings_names", k)), (self._setting(k, v),)) for k, v in chosen.items()]
            section.add("table", self.table("table-settings", "settings.caption", "settings.setting", value, rows))
        periods = ("period", "fit_period", "lookback", "fit_lookback")
        origin: dict[str, Any] = {k: self.period(self.results.part(k)) for k in periods}
        origin |= {k: run.at(k) for k in ("scenario", "seed")}
        origin |= {"scale": n.whole_or(run.at("scale"), 3), "content_hash": run.at("content_hash"),
                   "versions": ", ".join(f"{name} {version}" for name, version in run.part("versions").items())}
        section.add("table", self.table(
            "table-origin", "settings.origin_caption", "settings.setting", value,
            (Row(t.plain(f"settings.{k}"), (str(v),)) for k, v in origin.items() if v not in (None, "", DASH))))
        return section

    def _setting(self, key: str, found: object) -> str:
        if found is None:
            by_period = key in ("cost_responsibility", "published_year", "table_period", "period")
            return self.text.plain("settings.default") if by_period else DASH
        if isinstance(found, str):
            return self.text.plain(f"settings_values.{found}") if f"settings_values.{found}" in self.text else found
        if isinstance(found, float):
            return self.number.percent(found, 0) if key == "cost_responsibility" else self.number.whole_or(found, 2)
        return str(found)

    def glossary(self) -> Section:
        section = self._section("glossary")
        section.add("glossary", self.text.listed("glossary.entries"))
        return section
