"""The summary on one page and the verdict clause by clause; neither is rosier than the rule fixed beforehand."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lakemedelsmodell.report.blocks import Card, Row, Section
from lakemedelsmodell.report.contents import DEFENDED, PROPOSAL, PUBLISHED, TODAY, Gaps
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.persons import group_label
from lakemedelsmodell.report.phrases import DECIDED, capital, verdict

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page

RULINGS = ("for", "against", "undecided")
NEWCOMERS = "prior_cost:unknown"
OUTCOMES = {True: "holds", False: "fails", None: "open"}


def ruling(page: Page) -> str:
    """``for``, ``against`` or ``undecided`` by the rule; empty where the run passes no verdict."""
    decision = page.results.at("verdict", "decision")
    return decision if decision in RULINGS and page.results.parts("verdict", "clauses") else ""


def clauses(page: Page, outcome: str) -> list[Gaps]:
    """The clauses that hold, fail or are open."""
    return [c for c in page.results.parts("verdict", "clauses") if OUTCOMES.get(c.at("holds")) == outcome]


def answer(page: Page) -> dict[str, Any]:
    """What was asked, what came out, how surely, what it costs and what is to be decided."""
    t, ruled, spread = page.text, ruling(page), verdict(page.headline)
    return {
        "outcome": ruled or spread, "head": t("answer.head"),
        "tag": t(f"answer.rule_{ruled}_tag" if ruled else f"answer.tag_{spread}"),
        "ruling": _ruling(page, ruled) if ruled else "",
        "brief": [(t(f"answer.{key}"), said) for key, said in (
            ("asked", [t("answer.asked_text")]), ("found", _found(page, spread)), ("sure", _sure(page)),
            ("cost", _cost(page)), ("decide", _decide(page, ruled))) if said],
        "facts": facts(page), "scope": "" if ruled else t("answer.scope"),
    }


def _ruling(page: Page, ruled: str) -> Markup:
    t, n = page.text, page.number
    count = {key: n.number(len(clauses(page, key))) for key in ("holds", "fails", "open")}
    whole = n.number(len(page.results.parts("verdict", "clauses")))
    said = [t(f"answer.rule_{ruled}", all=whole, **count)]
    if ruled == "against" and clauses(page, "open"):
        said.append(t("answer.rule_open", open=count["open"]))
    return Markup(" ").join(said)


def _found(page: Page, spread: str) -> list[Markup]:
    """The finding on the spread, and in the same breath what speaks against."""
    t, kind = page.text, page.contents.kind
    period, log_ratio = page.period(page.results.part("period")), page.headline.at("log_sd_ratio")
    where = t(f"{kind}.where_plain") if period == DASH else t(f"{kind}.where", period=period)
    said = [Markup('<span class="sentence">{}</span>').format(
        t(f"answer.{spread}", where=where, change=page.change(log_ratio), interval=page.interval(page.headline)))]
    for outcome in ("fails", "open"):
        if found := clauses(page, outcome):
            names = Markup("; ").join(t(f"clauses.{_key(page, c)}_{outcome}") for c in found)
            said.append(t(f"answer.found_{outcome}", clauses=names))
    return said


def _sure(page: Page) -> list[Markup]:
    t, n, kind = page.text, page.number, page.contents.kind
    said = [t(f"answer.sure_{kind}")]
    scale, floor, sd = (page.results.at("run", "scale"), page.results.at("models", PROPOSAL, "noise_floor"),
                        page.spread(PROPOSAL))
    if known(scale) and scale < 1:
        said.append(t("answer.sure_scale", share=n.percent(scale, 0 if scale >= 0.01 else 1)))
    if known(floor) and known(sd):
        said.append(t("answer.sure_floor", floor=n.number(floor, 1), sd=n.number(sd, 1)))
    if warned := page.warnings():
        said.append(t("answer.sure_warnings" if len(warned) > 1 else "answer.sure_warning",
                      count=n.number(len(warned))))
    return said


def _cost(page: Page) -> list[Markup]:
    t, n = page.text, page.number
    moved = page.results.part("models", PROPOSAL, "redistribution")
    if page.contents.kind == "cohort" or not all(known(moved.at(k)) for k in (
            "sek", "share_of_budget", "gaining", "losing", "largest_loss", "largest_gain")):
        return []
    budget = page.results.at("totals", "budget_sek")
    return [t("answer.cost_text", budget=n.millions(budget), moved=n.millions(moved.at("sek")),
              share=n.percent(moved.at("share_of_budget")), gaining=n.number(moved.at("gaining")),
              losing=n.number(moved.at("losing")), loss=n.number(abs(moved.at("largest_loss")), 1),
              gain=n.number(moved.at("largest_gain"), 1)), t("answer.cost_unknown")]


def _decide(page: Page, ruled: str) -> list[Markup]:
    if not ruled or page.contents.kind == "cohort":
        return []
    first = [page.text(f"answer.decide_{ruled}")]
    real = [page.text("answer.decide_real")] if page.contents.kind == "simulation" else []
    return [*first, *real, page.text("answer.decide_questions")]


def facts(page: Page) -> list[tuple[str, str, str]]:
    """(name, value, note) of the few figures beside the answer; unknown ones are left out."""
    t, n, totals, headline = page.text, page.number, page.results.part("totals"), page.headline
    sd = [page.spread(m) for m in (TODAY, PROPOSAL)]
    log_ratio, moved = headline.at("log_sd_ratio"), headline.at("redistribution_sek")
    found: list[tuple[str, str, str]] = []
    if all(map(known, sd)):
        today, proposal = (n.number(x, 2) for x in sd)
        found.append((t("answer.fact_sd"), t("answer.fact_sd_value", today=today, proposal=proposal),
                      t("answer.fact_sd_note")))
    if known(log_ratio):
        found.append((t("answer.fact_change"), page.change(log_ratio),
                      t("answer.fact_change_note", interval=page.interval(headline))))
    if known(moved):
        found.append((t("answer.fact_moved"), t("answer.fact_moved_value", millions=n.millions(moved)),
                      t("answer.fact_moved_note", budget=n.millions(totals.at("budget_sek"), 0))))
    if known(sign := headline.at("centres_changing_sign")):
        value = t("answer.fact_sign_value", count=n.number(sign), centres_count=n.number(totals.at("centres")))
        found.append((t("answer.fact_sign"), value, t("answer.fact_sign_note")))
    return found


def verdict_section(page: Page) -> Section:
    """Each clause with its number, its threshold and how it stands; and how the spread is to be read."""
    t, section = page.text, page.section("verdict")
    found = page.results.parts("verdict", "clauses")
    if found:
        section.say(t("verdict.intro", rule=page.results.at("verdict", "rule") or DASH))
        section.add("table", page.table(
            "table-verdict", "verdict.caption", "verdict.clause",
            page.heads("verdict.col_", "outcome", "number", "threshold"), (_clause_row(page, c) for c in found)))
        if remedy := _remedy(page):
            section.say(remedy)
    section.add("h3", t("answer.reading"))
    section.add("list", reading(page))
    return section


def _remedy(page: Page) -> Markup | None:
    """What an amount of their own does for those who were listed nowhere in the look-back, where the clause on groups
    fails on them."""
    if not any(c.at("name") == "groups" and c.at("group") == NEWCOMERS for c in clauses(page, "fails")):
        return None
    gaps = [page.results.at("models", model, "predictive_ratios", NEWCOMERS, "under_compensation_sek")
            for model in (PROPOSAL, "chronic_newcomers")]
    if not all(map(known, gaps)):
        return None
    now, then = (page.number.number(gap, 1, sign=True) for gap in gaps)
    return page.text("verdict.newcomers", now=now, then=then)


def _key(page: Page, clause: Gaps) -> str:
    """The texts' name of a clause; one of a rule of somebody's own has none."""
    name = str(clause.at("name")).replace(".", "_")
    return name if f"clauses.{name}_threshold" in page.text else "other"


def clause_name(page: Page, clause: Gaps) -> str:
    """What readers call a clause; one of a rule of somebody's own is called what it says."""
    key = _key(page, clause)
    return page.text.plain(f"clauses.{key}") if key != "other" else str(clause.at("says") or DASH)


def _clause_row(page: Page, clause: Gaps) -> Row:
    t, n, key = page.text, page.number, _key(page, clause)
    number, threshold = clause.at("number"), clause.at("threshold")
    # The spread is a log ratio, told as a change.
    write = page.signed_change if key.startswith("spread") else partial(
        n.number, decimals=2 if key in ("pass_through", "other") else 1)
    outcome = OUTCOMES.get(clause.at("holds"), "open")
    limit = t.plain(f"clauses.{key}_threshold", threshold=n.percent(math.expm1(threshold), 0) if (
        key.startswith("spread") and threshold == 0) else n.whole_or(threshold, 2) if key == "groups" else
        write(threshold))
    mark = Markup('<span class="state {}">{}</span>').format(outcome, t(f"verdict.{outcome}"))
    return Row(clause_name(page, clause), (mark, write(number), limit), _detail(page, key, clause))


def _detail(page: Page, key: str, clause: Gaps) -> str:
    """What lies behind the clause's number, in the report's words."""
    t, n = page.text, page.number
    if key.startswith("spread"):
        pair = (PROPOSAL, TODAY) if key == "spread_chronic" else ("chronic_pool", "age_sex_pool")
        contrast = page.contents.contrast(*pair)
        change = page.signed_change(contrast.at("log_sd_ratio"))
        return t.plain("clauses.spread_detail", change=change, interval=page.signed_interval(contrast))
    if key == "pass_through":
        ends = [page.headline.at(f"pass_through_change_{end}") for end in ("low", "high")]
        if not all(map(known, ends)):
            return t.plain("clauses.pass_through_unknown")
        return t.plain("clauses.pass_through_detail", interval=page.range(*(n.number(x, 2, sign=True) for x in ends)))
    if key == "groups" and (name := clause.at("group")):
        family, _, member = str(name).partition(":")
        group = page.condition(member) if family == "condition" else group_label(page, str(name))
        return t.plain(f"clauses.groups_{clause.at('further_from')}", group=group)
    if key == "manipulation" and clause.at("holds") is None:
        return t.plain("clauses.manipulation_beside" if page.contents.manipulation else "clauses.manipulation_unknown")
    return ""


def reading(page: Page) -> list[Markup]:
    """What the spread says and does not say."""
    t = page.text
    said: list[Markup] = []
    if known(random := page.headline.at("random_list_ratio")) and 0 < random < 1:
        said.append(t("answer.reading_random", random=page.change(math.log(random))))
    for model, against, key in ((PROPOSAL, PUBLISHED, "published"), (DEFENDED, TODAY, "defended")):
        other = page.contents.contrast(model, against)
        if verdict(other) in DECIDED:
            change = page.change(other.at("log_sd_ratio"))
            said.append(t(f"answer.reading_{key}", change=change, interval=page.interval(other)))
    said.append(t("answer.reading_style"))
    return said + ([t("answer.reading_folds")] if page.contents.kind == "cohort" else [])


def clause_card(page: Page, goal: str, clause: str, items: list[Markup]) -> Card:
    """A goal of the region with what this run tells of it, and how the clause that guards it stands."""
    found = next((c for c in page.results.parts("verdict", "clauses") if c.at("name") == clause), Gaps(None))
    outcome = OUTCOMES.get(found.at("holds"), "open") if clause and found else ""
    tag = page.text(f"goals.{outcome}") if outcome else page.text("goals.no_clause")
    return Card(capital(page.text.plain(f"goals.{goal}")), outcome, tag, tuple(items))
