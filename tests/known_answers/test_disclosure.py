"""What fewer than five persons stand behind is not told, and cannot be told from what is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cohorts import cohort, table
from half_years import half_year
from lakemedelsmodell.data.totals_file import Totals
from lakemedelsmodell.evaluation import Settings, derive_table, evaluate_cohort, evaluate_totals
from lakemedelsmodell.evaluation.table_life import phasing_in
from lakemedelsmodell.measures.disclosure import emptied, hidden_by_months, hidden_groups, without_extremes

TOLD = ["centre_id", "name", "model"]


def sums(months: list[float], **columns) -> Totals:
    """Centres a, b, … of cost 100 a month, but for the last: 9000."""
    listed = np.array(months, dtype=float)
    cost = 100 * listed * (1 + 0.01 * np.arange(len(listed)))
    cost[-1] = 9000 * listed[-1]
    young = listed * (0.3 + 0.05 * np.arange(len(listed)))
    return Totals.from_frame(pd.DataFrame({
        "centre_id": [chr(ord("a") + k) for k in range(len(listed))], "months": listed, "cost": cost,
        "age_sex_young": young, "age_sex_old": listed - young} | columns))


@pytest.mark.parametrize(("last", "hidden"), [(59.0, "fg"), (60.0, "")])
def test_sums_of_a_centre_of_perhaps_four_are_not_told_nor_those_of_the_next_smallest(last: float, hidden: str):
    found = evaluate_totals(sums([6000, 7000, 6500, 8000, 9000, 3000, last]), Settings(resamples=100))

    empty = found.centres[found.centres.drop(columns=TOLD).isna().all(axis=1)]
    assert set(empty["centre_id"]) == set(hidden)
    assert found.centres.drop(empty.index).notna().all(axis=None)
    shown = found.centres.groupby("model")["net_sek_per_listed_month"].agg(["min", "max"])
    for name, model in found.results["models"].items():
        assert (model["spread"]["min"], model["spread"]["max"]) == tuple(shown.loc[name])


def test_what_perhaps_four_persons_of_all_centres_have_sets_no_amount_that_is_told():
    listed = [6000, 7000, 6500, 8000, 9000, 3000, 4000]
    found = evaluate_totals(sums(listed, flag_rare=[0, 30.0, 0, 0, 0, 29.0, 0], flag_common=[600.0, 800, 650, 900, 910,
                                                                                              350, 420]),
                            Settings(resamples=100))

    amounts = found.amounts[found.amounts["kind"] == "condition"].set_index("name")["sek_per_month"]
    assert amounts.isna().groupby(level=0).all().to_dict() == {"common": False, "rare": True}
    rows = [a for m in found.results["models"].values() for a in m["amounts"] if a["name"] == "rare"]
    assert rows
    assert all(a["sek_per_month"] is None for a in rows)


def test_sums_per_centre_are_warned_of_too():
    kinds = [w["kind"] for w in evaluate_totals(sums([9000, 1000, 900, 800]), Settings(resamples=100)
                                                ).results["warning_kinds"]]

    assert kinds == ["few_centres", "dominant_centre"]


def test_nothing_is_hidden_where_no_centre_is_small():
    assert not hidden_by_months(np.array([60.0, 100.0, 0.0])).any()
    assert hidden_by_months(np.array([59.0, 100.0, 500.0, 0.0])).tolist() == [True, True, False, False]


def test_a_phase_in_tells_the_largest_loss_and_gain_of_centres_that_may_be_shown():
    """The third centre, of two persons who all have the condition, gains most; the second, the next smallest, loses."""
    lists = np.repeat(np.arange(5), [50, 30, 2, 40, 45])
    sick = np.concatenate([np.arange(50) < 20, np.arange(30) < 1, [True] * 2, np.arange(40) < 10, np.arange(45) < 15])
    people = cohort(lists, np.full(len(lists), 60.0), flags=sick)
    tables = {t.model: t for t in (table(10.0, model="age_sex_published"), table(8.0, [20.0], model="chronic"))}

    found = phasing_in(tables, people, 0.7, 7.0, None)

    net = {name: 8.0 + 20 * share for name, share in (("a", 0.4), ("d", 0.25), ("e", 1 / 3))}
    first = next(row for row in found["rows"] if row["years"] == 1 and row["cap"] is None)
    whole = (10.0, 8 + 20 * sick.mean())
    change = [7 * (net[name] / whole[1] - 1) for name in net]
    assert first["largest_gain"] == pytest.approx(max(change), abs=0.01)
    assert first["largest_loss"] == pytest.approx(min(change), abs=0.01)


def test_a_reduced_table_tells_no_amount_that_four_persons_set():
    band = np.concatenate([np.full(300, 5), [20] * 4])
    cost = np.where(band == 20, 7777.0, 60.0) * 6
    rare = np.arange(304) < 3
    people = cohort(np.arange(304) % 6, cost, flags=np.column_stack([np.arange(304) % 3 == 0, rare]), band=band)

    found = evaluate_cohort(people, Settings(resamples=100))

    for model in found.results["models"].values():
        amounts = {(a["kind"], a["name"], a["sex"]): a["sek_per_month"] for a in model["amounts"]}
        assert all(value is None or value < 7777 / 2 for value in amounts.values())
        assert amounts.get(("condition", "condition1", None)) is None


def test_a_kind_of_centre_that_four_persons_are_listed_at_is_not_told_nor_are_all_others():
    lists = np.repeat(np.arange(4), [100, 80, 60, 4])
    people = cohort(lists, np.full(len(lists), 60.0))
    people = replace(people, centres=people.centres.assign(operator=["public", "public", "public", "private"]))

    found = evaluate_cohort(people, Settings(resamples=100)).results["models"]

    for model in found.values():
        assert all(np.isnan(value) for value in model["neutrality"]["net"].values())


def test_a_derived_table_tells_nothing_of_cells_of_four():
    persons = [(str(i), "K", "1920-01" if i < 4 else "1960-01", None) for i in range(20)]
    rows = [(str(i), f"2025-{m:02d}-10", "C07AB02", 1, 30.0, 500.0) for i in range(20) for m in range(1, 13)]
    year = half_year(rows, persons=persons, listings=[(p[0], "A", "2020-01-01", None) for p in persons])

    found = derive_table(year, 2026).set_index(["age_band", "sex"])

    assert found["derived"].dropna().tolist() == [350]
    assert found.loc[(">100", "K"), ["listed_months", "cost_sek", "derived"]].isna().all()


def test_groups_of_a_family_and_all_those_outside_one_are_told_together():
    names = ["age:0", "age:1", "age:2", "movers", "dose", "women"]
    persons = np.array([3, 20, 40, 2, 30, 61])
    # Of the ages the next smallest goes with the few; 63 less 61 leaves two; movers are few; dose has 33 beside it.
    assert hidden_groups(names, persons, 63).tolist() == [True, True, False, True, False, True]


def test_what_is_emptied_keeps_its_names_and_a_spread_its_other_measures():
    frame = pd.DataFrame({"name": ["a", "b"], "net": [1.0, 2.0], "outside": [True, False]})
    found = emptied(frame, np.array([False, True]), ("name",))
    assert found["name"].tolist() == ["a", "b"]
    assert found["net"].isna().tolist() == found["outside"].isna().tolist() == [False, True]
    assert frame["net"].tolist() == [1, 2]
    measures = {"sd": 7.0, "min": -9.0, "max": 9.0}
    told = without_extremes(measures, np.array([-9.0, 3, 9, np.nan]), np.array([True, False, False, False]))
    assert told == {"sd": 7.0, "min": 3.0, "max": 9.0}
    assert without_extremes(measures, np.array([-9.0, 9]), np.zeros(2, dtype=bool)) == measures
