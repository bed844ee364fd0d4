"""What is compared, the region's own months beside the half-year, and the models measure by measure."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lakemedelsmodell.report.blocks import Row, Section, columns
from lakemedelsmodell.report.contents import PROPOSAL, TODAY, Gaps
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import DECIDED, capital, small, verdict

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page

SHARES = ("within_2pct", "within_5pct", "share_positive")

REGIONS_OWN = ("2026-01-01", "2026-03-01")
"""The months of the region's own comparison (7 May 2026), [start, end)."""


def compared(page: Page) -> Section:
    t, results, section = page.text, page.results, page.section("compared")
    if page.contents.kind == "cohort":
        section.say(t("compared.p_cohort"))
        return section
    alpha = results.at("totals", "cost_responsibility")
    share = t("compared.p1_alpha", alpha=page.number.percent(alpha, 0)) if known(alpha) else ""
    section.say(t("compared.p1", alpha=share), t("compared.p2"), t("compared.p3"))
    fit, lookback, period = (page.period(results.part(k)) for k in ("fit_period", "lookback", "period"))
    variants = [v for v in results.at("variants") or [] if isinstance(v, str)]
    told = DASH not in (fit, lookback, period) and not {"concurrent", "concurrent flags"} & set(variants)
    section.say(t("compared.p4", fit=fit, lookback=lookback, period=period) if told else t("compared.p4_short"))
    for variant in variants:
        key = f"compared.variant_{variant.replace(' ', '_').replace('-', '')}"
        if key in t:
            section.add("note", t(key))
    return section


def beside(page: Page) -> Section | None:
    t, n = page.text, page.number
    others = page.results.parts("beside")
    if not others:
        return None
    own = [(o.at("period", "start"), o.at("period", "end")) == REGIONS_OWN for o in others]
    section = Section("beside", t.plain("beside.head" if any(own) else "beside.head_other"))
    section.say(t("beside.intro" if any(own) else "beside.intro_other"))
    runs = [(page.results, page.headline), *((o, page.contents.contrast(PROPOSAL, TODAY, o)) for o in others)]
    names = [page.period(run.part("period")) for run, _ in runs]
    for name, (_, contrast), regions in zip(names[1:], runs[1:], own, strict=True):
        section.say(_beside_sentence(page, name, contrast, regions))
    if any(own):
        section.say(t("beside.short"))
    rows = []
    for k in ("sd", "p90_p10", "mean_abs", *SHARES):
        values = (page.spread(m, k, run) for run, _ in runs for m in (TODAY, PROPOSAL))
        cells = tuple(n.percent(x) if k in SHARES else n.number(x, 2) for x in values)
        rows.append(Row(t.plain(f"measures.{k}"), cells))
    rows += [Row(t.plain("answer.fact_change"), tuple(page.signed_change(x.at("log_sd_ratio")) for _, x in runs),
                 total=True, span=2),
             Row(t.plain("measures.col_interval"), tuple(page.signed_interval(x) for _, x in runs), span=2)]
    heads = tuple(c for name in names for c in page.heads("centres.col_", "today", "proposal", group=name))
    section.add("table", page.table("table-beside", "beside.caption", "measures.measure", heads, rows))
    return section


def _beside_sentence(page: Page, period: str, contrast: Gaps, regions: bool) -> Markup:
    """Which way the other period fell and, for the region's own months, whether the region found the same."""
    t, outcome = page.text, verdict(contrast)
    said = [t(f"beside.{outcome if outcome in DECIDED else 'unknown'}", period=capital(period),
              change=page.change(contrast.at("log_sd_ratio")), interval=page.interval(contrast))]
    if regions and outcome in DECIDED:
        said.append(t(f"beside.region_{outcome}"))
        said += [t("beside.region_simulated")] if page.contents.kind == "simulation" else []
    return Markup(" ").join(said)


def measures(page: Page) -> Section:
    t, n, section = page.text, page.number, page.section("measures")
    section.say(t("measures.intro"))
    models = page.contents.models
    if least := _least(page):
        section.say(least)

    def row(key: str, path: tuple[str, ...], write: Callable[[Any], str]) -> Row:
        note = t.plain(f"measures.{key}_note") if f"measures.{key}_note" in t else ""
        cells = (write(page.results.at("models", m, *path)) for m in models)
        return Row(t.plain(f"measures.{key}"), tuple(cells), note)

    def decimals(places: int) -> Callable[[Any], str]:
        return partial(n.number, decimals=places)

    spreads = ("sd", "weighted_sd", "mad", "p90_p10", "mean_abs", "min", "max", *SHARES)
    section.add("table", page.table(
        "table-measures", "measures.caption", "measures.measure", columns(page.model(m) for m in models),
        (Row(t.plain("measures.group_spread")),
         *(row(k, ("spread", k), n.percent if k in SHARES else decimals(2)) for k in spreads),
         Row(t.plain("measures.group_fit")),
         *(row(k, ("fit", k), decimals(places)) for k, places in (("r2", 3), ("cpm", 3), ("mae", 1))),
         Row(t.plain("measures.group_level")),
         row("phi", ("phi",), decimals(3)), row("unscaled", ("unscaled", "reimbursement_sek"), n.millions),
         row("unscaled_share", ("unscaled", "spread", "share_positive"), n.percent),
         Row(t.plain("measures.group_later")),
         *(row(k, (k,), decimals(2)) for k in ("noise_floor", "true_sd", "pass_through", "rmse_to_ideal")))))
    if page.contents.competitors and page.contents.kind != "cohort":
        shown = (("spread", "sd"), ("noise_floor",), ("spread", "p90_p10"), ("spread", "within_2pct"),
                 ("fit", "r2"))
        writes = (decimals(2), decimals(2), decimals(2), n.percent, decimals(3))
        section.add("table", page.table(
            "table-competitors", "measures.competitors_caption", "measures.model",
            page.heads("measures.", "sd", "noise_floor", "p90_p10", "within_2pct", "r2"),
            (Row(page.model(m), tuple(write(page.results.at("models", m, *path))
                                      for path, write in zip(shown, writes, strict=True)))
             for m in (TODAY, PROPOSAL, *page.contents.competitors)), (t("measures.competitors_note"),)))
    if contrasts := page.results.parts("contrasts"):
        section.add("table", page.table(
            "table-contrasts", "measures.contrasts_caption", "measures.contrast",
            page.heads("measures.col_", "change", "interval", "random", "moved", "sign", "rank"),
            (_contrast_row(page, c) for c in contrasts), (t("measures.contrasts_note"),)))
    return section


def _least(page: Page) -> Markup | None:
    """Which of the tables that can be paid leaves the least spread, with and without a pool."""
    n, contents = page.number, page.contents
    pooled = {r.get("model") for r in contents.amount_rows if r.get("kind") == "pool"}
    sd = {m: x for m in page.results.part("models") if page.results.at("models", m, "payable") is True
          and known(x := page.spread(m))}
    unpooled = [m for m in sd if m not in pooled]
    if contents.kind == "cohort" or TODAY not in sd or len(unpooled) < 2:
        return None
    least, best = min(sd, key=lambda m: sd[m]), min(unpooled, key=lambda m: sd[m])
    return page.text("measures.least", least=page.model(least), sd=n.number(sd[least], 2),
                     today=n.number(sd[TODAY], 2), unpooled=page.model(best), unpooled_sd=n.number(sd[best], 2))


def _contrast_row(page: Page, contrast: Gaps) -> Row:
    n, random = page.number, contrast.at("random_list_ratio")
    model, against = (page.model(str(contrast.at(k))) for k in ("model", "against"))
    return Row(page.text.plain("measures.contrast_row", model=model, against=small(against)), (
        page.signed_change(contrast.at("log_sd_ratio")), page.signed_interval(contrast),
        page.signed_change(math.log(random) if known(random) and random > 0 else None),
        n.millions(contrast.at("redistribution_sek")), n.number(contrast.at("centres_changing_sign")),
        n.number(contrast.at("spearman"), 2)))
