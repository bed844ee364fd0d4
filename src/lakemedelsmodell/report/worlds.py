"""Artificial worlds with a known truth, some made for the proposal to lose, and where the answer changes sign."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Row, Section
from lakemedelsmodell.report.decision import OUTCOMES
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import DASH
from lakemedelsmodell.report.phrases import small

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.report.page import Page
    from lakemedelsmodell.study import GridResult

CLAUSES = ("spread.chronic", "spread.chronic_pool", "pass_through", "groups")
MAPPED = "rmse_change"
"""What the map shows: the change of the distance to the ideal net, which style in the flags cannot flatter."""


@cache
def packaged() -> tuple[pd.DataFrame, GridResult]:
    """Verdicts on the shipped worlds, and the shipped grid."""
    from lakemedelsmodell.study import packaged_grid, packaged_worlds

    return packaged_worlds(), packaged_grid()


def worlds(page: Page) -> Section | None:
    """The verdict on every shipped world, and the map of the grid."""
    if page.contents.kind == "cohort":
        return None
    t, section = page.text, page.section("worlds")
    section.say(t("worlds.intro"))
    verdicts, grid = packaged()
    _verdicts(page, section, verdicts)
    _flips(page, section, grid)
    return section


def _verdicts(page: Page, section: Section, verdicts: pd.DataFrame) -> None:
    t, n = page.text, page.number
    own = verdicts["world"] == page.results.at("run", "scenario")  # the run's own world first
    verdicts = verdicts.assign(own=own).sort_values("own", ascending=False, kind="stable")
    decisions = verdicts.groupby("world", sort=False)["decision"].first()
    counts = {key: int((decisions == key).sum()) for key in ("for", "against", "undecided")}
    said = [t.plain(f"worlds.{key}") if count == len(decisions) else
            t.plain("worlds.said", decision=t.plain(f"worlds.{key}"), count=n.number(count))
            for key, count in counts.items() if count]
    section.say(t("worlds.summary" if len(said) > 1 else "worlds.summary_all", all=n.number(len(decisions)),
                  said=", ".join(said)))

    def state(of: pd.DataFrame, clause: str) -> Markup:
        found = of.loc[of["clause"] == clause, "holds"]
        outcome = OUTCOMES.get(found.iloc[0], "open") if len(found) else "open"
        return Markup('<span class="state {}">{}</span>').format(outcome, t(f"verdict.{outcome}"))

    def change(of: pd.DataFrame) -> str:
        found = of.loc[of["clause"] == CLAUSES[0], "number"]
        return page.signed_change(float(found.iloc[0])) if len(found) else DASH

    rows = [Row(str(of[f"title_{page.lang}"].iloc[0]),
                (change(of), *(state(of, c) for c in CLAUSES), t.plain(f"worlds.{of['decision'].iloc[0]}")))
            for _, of in verdicts.groupby("world", sort=False)]
    first = verdicts.iloc[0]
    fewest, most = verdicts["replicates"].min(), verdicts["replicates"].max()
    draws = n.number(int(fewest)) if fewest == most else page.range(n.number(int(fewest)), n.number(int(most)))
    section.add("table", page.table(
        "table-worlds", "worlds.caption", "worlds.world",
        page.heads("worlds.col_", "change", "spread", "pool", "pass_through", "groups", "decision"), rows,
        (t("worlds.note", scale=n.percent(float(first["scale"]), 0), seed=n.number(int(first["seed"])),
           draws=draws, rule=str(first["rule"])),)))


def _flips(page: Page, section: Section, grid: GridResult) -> None:
    t, n = page.text, page.number
    strips = []
    for d in grid.grid.dimension:
        line = grid.along(d.name)
        label = t.plain("worlds.range", what=t.name("dimensions", d.name), low=n.whole_or(d.low, 2),
                        high=n.whole_or(d.high, 2))
        place = (line[d.name].to_numpy(dtype=float) - d.low) / (d.high - d.low)
        strips.append((label, place.tolist(), line[MAPPED].to_numpy(dtype=float).tolist()))
    flips = grid.flips()
    flips = flips[flips["measure"] == MAPPED].set_index("dimension")["flips_at"].dropna()
    where = "; ".join(t.plain("worlds.flips_at", what=small(t.name("dimensions", str(name))),
                              at=n.whole_or(float(at), 2)) for name, at in flips.items())
    section.add("h3", t("worlds.map_head"))
    section.say(t("worlds.flips", where=where) if where else t("worlds.no_flip"))
    words = Words(n.number, value=t.plain("worlds.map_axis"), today=t.plain("worlds.low"),
                  proposal=t.plain("worlds.high"))
    draw = partial(figures.sign_flips, strips, words)
    table = grid.table
    section.add("figure", page.figure(
        "sign-flips", t.plain("worlds.map_caption", scale=n.percent(float(table["scale"].iloc[0]), 0),
                              replicates=n.number(int(table["replicates"].iloc[0]))),
        t.plain("worlds.map_alt"), 0.9 + 0.42 * len(strips), lambda f: draw(ax=f.subplots()), 1.0 + 0.5 * len(strips)))
