"""Who is paid too little: groups by name, on cohorts small enough to add up by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from cohorts import cohort, random_cohort
from lakemedelsmodell.evaluation import Settings, evaluate_cohort
from lakemedelsmodell.measures.groups import groups, neutrality, outside_groups, predictive_ratios, ratio_of_sums
from lakemedelsmodell.models.named_groups import named_groups

T = {1: 12.7062, 3: 3.18245}
"""97.5th percentile of Student's t by degrees of freedom, from printed tables."""


def names_of(data) -> dict[str, np.ndarray]:
    return dict(named_groups(data))


def about(data, **columns):
    return replace(data, centres=data.centres.assign(**columns))


def test_a_ratio_of_sums_by_hand():
    ratio, low, high = ratio_of_sums(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    assert ratio == 1.5
    # Departures ±0.5; n/(n−1) Σd² = 1; over ΣX = 4.
    assert (ratio - low, high - ratio) == pytest.approx((T[1] / 4,) * 2, rel=1e-5)
    assert np.isnan(ratio_of_sums(np.array([2.0]), np.array([0.0]))).all()
    assert ratio_of_sums(np.array([2.0]), np.array([1.0]))[0] == 2
    assert np.isnan(ratio_of_sums(np.array([2.0]), np.array([1.0]))[1:]).all()


def test_what_a_group_is_paid_too_little_by_hand():
    """Two persons of the group, each 6 months: paid 50 a month; cost 200 and 1000, of which half is the centre's."""
    data = cohort(0, [200, 1000, 600], flags=[True, True, False])
    found = predictive_ratios(data, {"m": np.full(3, 50.0)}, 0.5, groups(data)).set_index("group")
    row = found.loc["condition:condition0"]
    assert (row["persons"], row["listed_months"]) == (2, 12)
    assert row["ratio"] == pytest.approx(600 / 600)
    assert row["under_compensation_sek"] == pytest.approx((600 - 600) / 12)
    # Nets 200 and −200 about a mean of 0: n/(n−1) Σd² = 160 000, its root over 12 months.
    assert row["under_ci_high"] == pytest.approx(T[1] * 400 / 12, rel=1e-5)
    assert row["under_ci_low"] == -row["under_ci_high"]
    assert found.loc["age:60-64", "under_compensation_sek"] == pytest.approx((900 - 900) / 18)
    assert list(found.index) == ["age:60-64", "condition:condition0"]  # not the bands nobody is in


@pytest.mark.parametrize("weighted", [False, True])
def test_all_models_at_once_are_each_model_by_itself_added_up_in_a_loop(weighted):
    data = random_cohort(5, n=900, n_centres=14, weighted=weighted)
    rng = np.random.default_rng(1)
    paid = {"a": rng.uniform(0, 90, 900), "b": rng.uniform(-5, 60, 900)}
    found = predictive_ratios(data, paid, 0.7, outside_groups(data)).set_index(["model", "group"])
    weight = np.ones(900) if data.weight is None else data.weight
    for model, per_month in paid.items():
        for name, mask in named_groups(data):
            got = months = spent = 0.0
            by_centre: dict[int, list[float]] = {}
            for i in np.flatnonzero(mask):
                pay = weight[i] * data.months[i] * per_month[i]
                cost = weight[i] * 0.7 * data.cost[i]
                got, spent, months = got + pay, spent + cost, months + weight[i] * data.months[i]
                sums = by_centre.setdefault(int(data.centre[i]), [0.0, 0.0])
                sums[0], sums[1] = sums[0] + pay - cost, sums[1] + weight[i] * data.months[i]
            row = found.loc[model, name]
            under = (got - spent) / months
            assert row["ratio"] == pytest.approx(got / spent)
            assert row["under_compensation_sek"] == pytest.approx(under)
            assert row["persons"] == len(set(data.person[mask]))
            n = len(by_centre)
            squares = sum((net - under * m) ** 2 for net, m in by_centre.values())
            half = t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1) * squares) / months if n > 1 else np.nan
            assert row["under_ci_high"] - under == pytest.approx(half, nan_ok=True)


def test_what_groups_that_divide_everyone_are_paid_adds_up():
    data = about(random_cohort(2, n=800, n_centres=12), operator=["public", "private"] * 6, rural=[True] + [False] * 11)
    found = predictive_ratios(data, {"m": np.full(800, 40.0)}, 0.7, outside_groups(data)).set_index("group")
    net = 40 * data.months.sum() - 0.7 * data.cost.sum()
    for family in ("operator:", "rural:", "list_size:", "conditions:"):
        rows = found[found.index.str.startswith(family)]
        assert rows["listed_months"].sum() == pytest.approx(data.months.sum())
        assert (rows["listed_months"] * rows["under_compensation_sek"]).sum() == pytest.approx(net), family


def test_groups_of_centres():
    data = cohort(np.repeat(np.arange(8), [1, 1, 1, 1, 2, 2, 4, 8]), np.ones(20))
    data = about(data, operator=["public"] * 2 + ["private"] * 5 + [None], rural=[False] * 7 + [True],
                 cni=[3.0, 2.5, 2.0, 1.9, 1.0, 0.9, 0.8, 0.7])
    found = names_of(data)
    centres = {name: sorted(set(data.centre[mask])) for name, mask in found.items()}
    assert centres["operator:public"] == [0, 1] and centres["operator:private"] == [2, 3, 4, 5, 6]
    assert centres["rural:yes"] == [7] and centres["rural:no"] == [0, 1, 2, 3, 4, 5, 6]
    assert centres["cni:most_deprived_fifth"] == [0, 1, 2, 3]  # four persons of twenty, not a fifth of the centres
    assert centres["list_size:4"] == [6, 7]
    assert "operator:None" not in found


def test_deciles_of_prior_cost_are_over_persons_and_those_without_cost_are_their_own():
    data = replace(cohort(0, np.ones(21)), prior_cost=np.array([*np.arange(20.0), np.nan]))
    found = names_of(data)
    assert [list(np.flatnonzero(found[f"prior_cost:{d:02d}"])) for d in (2, 10)] == [[2, 3], [18, 19]]
    assert list(np.flatnonzero(found["prior_cost:none"])) == [0]
    assert list(np.flatnonzero(found["prior_cost:01"])) == [1]
    assert list(np.flatnonzero(found["prior_cost:unknown"])) == [20]
    most = names_of(replace(cohort(0, np.ones(20)), prior_cost=np.array([0.0] * 16 + [1.0, 2, 3, 4])))
    assert {name for name in most if name.startswith("prior")} == {"prior_cost:none", "prior_cost:09", "prior_cost:10"}


def test_what_the_cohort_says_of_its_persons_is_measured():
    held = np.array([True, True, False, False])
    data = replace(cohort(0, [600, 600, 0, 0]), groups={"drugs:5+": held, "moved:yes": ~held & False})
    found = predictive_ratios(data, {"m": np.full(4, 50.0)}, 1.0, outside_groups(data)).set_index("group")
    assert found.loc["drugs:5+", "under_compensation_sek"] == pytest.approx(-50)
    assert "moved:yes" not in found.index  # an empty group is left out, not 0


OPERATOR = np.array(["public", "public", "private", "private", "private", None])


def test_neutrality_by_hand():
    months = np.array([10.0, 30, 10, 10, 20, 99])
    found = neutrality(np.array([50.0, 30, 10, -10, 0, 1e9]), months, OPERATOR)
    assert (found.public_sek, found.private_sek, found.difference_sek) == (2, 0, 2)
    # Public: departures ±30, variance 2/1·1800/40²; private: ±10, variance 3/2·200/40².
    half = T[3] * np.sqrt((3600 + 300) / 1600)
    assert (found.ci_low, found.ci_high) == pytest.approx((2 - half, 2 + half), rel=1e-5)


def test_a_payment_that_does_not_ask_who_runs_the_centre_is_neutral():
    """400 worlds, 30 centres whose nets have nothing to do with who runs them: the interval holds 0 in 95 of 100."""
    rng = np.random.default_rng(8)
    worlds, hits = 400, 0
    for _ in range(worlds):
        months = rng.lognormal(8, 0.45, 30)
        operator = np.where(rng.permutation(30) < 14, "public", "private")
        found = neutrality(months * rng.normal(0, 5, 30), months, operator)
        hits += found.ci_low <= 0 <= found.ci_high
    assert hits / worlds == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / worlds))


def test_neutrality_is_unknown_where_one_kind_is_missing():
    found = neutrality(np.ones(6), np.ones(6), np.array([None] * 6))
    assert np.isnan([found.public_sek, found.private_sek, found.difference_sek, found.ci_low]).all()
    one = neutrality(np.array([3.0, 1, 1]), np.ones(3), np.array(["public", "private", "private"]))
    assert one.difference_sek == 2 and np.isnan(one.ci_low)


def test_a_centre_without_listed_months_has_no_say():
    months = np.array([10.0, 30, 10, 10, 20, 0])
    operator = np.where(pd.isna(OPERATOR), "public", OPERATOR)
    with_empty = neutrality(np.array([50.0, 30, 10, -10, 0, 0]), months, operator)
    assert with_empty == neutrality(np.array([50.0, 30, 10, -10, 0]), months[:5], operator[:5])


@pytest.fixture(scope="module")
def results():
    data = about(random_cohort(3, n=600, n_centres=12), operator=["public", "private"] * 6)
    few, enough = (np.isin(data.person, np.unique(data.person)[:k]) for k in (4, 5))
    data = replace(data, groups={"few:yes": few, "enough:yes": enough})
    return data, evaluate_cohort(data, Settings(resamples=100)).results["models"]


def test_results_hold_nothing_of_fewer_than_five_persons(results):
    for model in results[1].values():
        told = model["predictive_ratios"]
        assert set(told["few:yes"].values()) == {None}
        assert told["enough:yes"]["persons"] == 5 and np.isfinite(told["enough:yes"]["under_compensation_sek"])


def test_what_is_paid_by_decile_adds_up_to_the_cost(results):
    data, models = results
    for model in models.values():
        deciles = [d for d in model["calibration"] if d["persons"] is not None]
        assert sum(d["predicted"] * d["listed_months"] for d in deciles) == pytest.approx(data.cost.sum(), rel=1e-6)
        assert sum(d["actual"] * d["listed_months"] for d in deciles) == pytest.approx(data.cost.sum())
    assert [d["decile"] for d in models["chronic"]["calibration"]] == list(range(1, 11))


def test_the_change_from_today_s_model_is_none_for_itself_and_paired_for_others(results):
    _, models = results
    neutral = {name: model["neutrality"] for name, model in models.items()}
    assert neutral["age_sex"]["change_from_today"]["difference_sek"] == 0
    change = neutral["chronic"]["change_from_today"]
    apart = neutral["chronic"]["net"]["difference_sek"] - neutral["age_sex"]["net"]["difference_sek"]
    assert change["difference_sek"] == pytest.approx(apart)
    public = models["chronic"]["predictive_ratios"]["operator:public"]["under_compensation_sek"]
    assert neutral["chronic"]["net"]["public_sek"] == pytest.approx(public, abs=1e-3)
