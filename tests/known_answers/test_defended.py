"""The defended version: amounts bounded by what qualifying costs, below a pool, the same in evaluate as in the play."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cohorts import random_cohort
from lakemedelsmodell.amounts import published_table
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.flags import build_cohort, code_summary
from lakemedelsmodell.evaluation.plan import payable
from lakemedelsmodell.manipulation.designs import DEFENDED, read_designs
from lakemedelsmodell.manipulation.frontier import by_rule
from lakemedelsmodell.manipulation.region import Region
from lakemedelsmodell.measures.qualifying import catalogue, cheapest_bundle, most_by_price
from lakemedelsmodell.models import ChronicDefended, ChronicPool
from lakemedelsmodell.models.pooled import DEFENDED_POOL
from small_region import small_region

PROJECT = Path(__file__).resolve().parents[2]
CODES = pd.DataFrame({
    "atc": ["A10BA02", "A10BJ06", "B01AF02", "L04AX03", "R03BB04"], "rows": 50, "positive_rows": [50, 50, 50, 50, 5],
    "packages": 100.0, "ddd": [10_000.0, 3_000.0, 3_000.0, 9_000.0, 3_000.0],
    "cost_sek": [3_000.0, 80_000.0, 60_000.0, 5_000.0, 30_000.0],
    "gross_sek": [5_000.0, 90_000.0, 70_000.0, 6_000.0, 40_000.0], "base_rows": [50, 50, 50, 0, 50]})
ASKED = {"min_dates": 2, "min_days_apart": 45, "min_ddd": 180}
LIST = ConditionSet("list", (
    Condition("oral", include=("A10BA", "A10BJ"), **ASKED), Condition("doak", include=("B01AF",), **ASKED),
    Condition("slow", include=("B01AF",), min_dates=2, min_days_apart=240),
    Condition("outside", include=("L04AX03",), **ASKED), Condition("rare", include=("R03BB",), **ASKED)))


def test_the_least_that_qualifies_and_what_it_costs():
    shelf = catalogue(CODES["atc"], CODES)
    bundle = cheapest_bundle(LIST, "oral", shelf)
    assert shelf.codes[bundle.code] == "A10BA02" and bundle.packs == (1, 1) and bundle.days == (0, 45)
    assert bundle.sek == pytest.approx(100)  # two packs of 100 DDD at 50 SEK
    most = most_by_price(LIST, shelf, 2)
    assert most["oral"] == pytest.approx(2 * 100 / 12)
    assert most["doak"] == pytest.approx(2 * 6 * 700 / 12)  # six packs of 30 DDD
    assert most["slow"] == pytest.approx(2 * 2 * 700 / 6)  # more than half a year apart: one half-year is paid
    assert most["outside"] == 0  # the centre does not pay for it
    assert "rare" not in most  # bought too seldom to say what a pack is


def test_without_gross_prices_what_the_region_paid_stands_for_them():
    shelf = catalogue(CODES["atc"], CODES.assign(gross_sek=np.nan))
    assert most_by_price(LIST, shelf, 1)["oral"] == pytest.approx(60 / 12)


def test_no_amount_is_above_its_bound_and_the_others_take_over_its_cost():
    data = random_cohort(15)
    free = ChronicPool("listed", pool_threshold=DEFENDED_POOL).fit(data, 0.7)
    same = ChronicDefended().fit(data, 0.7)
    assert (same.model, same.rule, same.pool_threshold) == ("chronic_defended", "listed", DEFENDED_POOL)
    assert same.add_ons == pytest.approx(np.nan_to_num(free.add_ons))
    top = int(np.argmax(free.add_ons))
    cut = ChronicDefended(most={data.conditions[top]: free.add_ons[top] / 0.7 / 2}).fit(data, 0.7)
    assert cut.add_ons[top] == pytest.approx(free.add_ons[top] / 2)
    months = data.totals("listed")
    paid = [float((months.months_by_cell * t.cells.reshape(-1)).sum() + (months.flagged_months * t.add_ons).sum())
            for t in (free, cut)]
    assert paid[1] == pytest.approx(paid[0])


def test_evaluate_pays_the_amounts_that_were_played_against():
    region = Region.of(small_region())
    (design,) = (d for d in read_designs() if d.name == DEFENDED)
    terms = region.terms(design)
    window = region.plan.lookback
    codes = code_summary(region.half_year, (window.start, window.end))
    (model,) = (m for m in payable(published_table(2026), region.listed, codes) if m.name == "chronic_defended")
    fitted = build_cohort(region.half_year, region.plan.fit_period, region.listed, lookback=region.plan.fit_lookback)
    table = model.fit(fitted, region.alpha).rounded()
    assert (terms.add_ons > 0).sum() >= 2
    np.testing.assert_array_equal(np.nan_to_num(table.add_ons), terms.add_ons)
    assert table.pool_threshold == design.pool_threshold


def test_the_default_is_what_the_rule_picks_of_the_default_world_at_full_size():
    """The committed frontier is that of ``manipulate skane_2026h1``; ``reports/refresh.py`` writes it anew."""
    table = pd.read_csv(PROJECT / "simulations" / "skane_2026h1.frontier.csv")
    assert [d.name for d in read_designs()] == list(table["design"])
    again = by_rule(table.drop(columns=["dominated", "recommended"]))
    pd.testing.assert_frame_equal(again, table)
    assert table.loc[again["recommended"], "design"].tolist() == [DEFENDED]
