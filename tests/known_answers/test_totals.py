"""Estimation from centre totals: known answers, and every centre left out against a fit without it."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear

from lakemedelsmodell.amounts import read_amounts
from lakemedelsmodell.data.totals_file import Totals
from lakemedelsmodell.errors import DataError, UserError
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.measures.totals import compare_totals
from lakemedelsmodell.models.from_totals import cells_of, leave_one_out, models_of
from lakemedelsmodell.models.least_squares import cells_and_add_ons, normal_equations

AGES = np.array([30.0, 90.0, 250.0, 310.0])
ADD_ONS = np.array([120.0, 40.0])


def frame(seed: int, K: int = 40, *, noise: float = 0.0, need: float = 0.0) -> pd.DataFrame:
    """K centres in four age and sex columns with two conditions; cost is linear in them, plus noise per month."""
    rng = np.random.default_rng(seed)
    ages = rng.gamma(20, 40, (K, 4))
    months = ages.sum(axis=1)
    flags = rng.uniform(0.02, 0.2, (K, 2)) * months[:, None]
    cni = rng.uniform(0.5, 3, K)
    cost = ages @ AGES + flags @ ADD_ONS + need * cni * months + noise * rng.normal(size=K) * months
    return pd.DataFrame({
        "centre_id": [f"c{k:03d}" for k in rng.permutation(K)], "months": months, "cost": cost,
        "age_sex_K_0_49": ages[:, 0], "age_sex_M_0_49": ages[:, 1], "age_sex_K_50_up": ages[:, 2],
        "age_sex_M_50_up": ages[:, 3], "flag_diabetes": flags[:, 0], "flag_kol": flags[:, 1],
        "index_published": ages @ [1, 2, 4, 5], "covariate_cni": cni})


def fitted(data: pd.DataFrame) -> dict:
    totals = Totals.from_frame(data)
    return {model.name: model.fit(totals) for model in models_of(totals)}


def test_exactly_linear_costs_give_back_the_amounts_and_leave_no_spread():
    data = frame(1)
    fit = fitted(data)["chronic"]
    assert fit.columns == (("age_sex", "k_0_49"), ("age_sex", "m_0_49"), ("age_sex", "k_50_up"), ("age_sex", "m_50_up"),
                           ("flag", "diabetes"), ("flag", "kol"))
    np.testing.assert_allclose(fit.amounts, [*AGES, *ADD_ONS], rtol=1e-9)
    compared = compare_totals(Totals.from_frame(data), 0.7, resamples=100)
    assert np.abs(compared.comparison.settlements["chronic"].net_sek).max() <= 0.01  # öre
    assert compared.comparison.spreads["age_sex"].sd > 1


def test_a_centre_covariate_is_multiplied_by_months():
    fit = fitted(frame(2, need=17.0))["chronic_covariates"]
    np.testing.assert_allclose(fit.amounts, [*AGES, *ADD_ONS, 17.0], rtol=1e-9)


def test_centres_of_one_column_each_give_its_mean():
    data = pd.DataFrame({
        "centre_id": list("abcdef"), "months": [100, 300, 50, 50, 10, 30], "cost": [1000, 6000, 100, 300, 40, 80],
        "age_sex_young": [100, 300, 50, 50, 0, 0], "age_sex_old": [0, 0, 0, 0, 10, 30]})
    data.loc[2:3, ["age_sex_young", "age_sex_old"]] = [[0, 50], [0, 50]]
    fit = fitted(data)["age_sex"]
    np.testing.assert_allclose(fit.amounts, [7000 / 400, 520 / 140])
    np.testing.assert_allclose(fit.left_out[:2], [6000 / 300, 1000 / 100])  # what the other centre of the column costs


@pytest.mark.parametrize("seed", range(4))
def test_the_weights_are_those_of_persons(seed):
    """Were every person a centre, the amounts would be those estimated from persons."""
    rng = np.random.default_rng(seed)
    n = 300
    cell, months = rng.integers(0, 6, n), rng.integers(1, 7, n).astype(float)
    flags = rng.random((n, 3)) < 0.3
    cost = months * (50 * (cell + 1) + flags @ [80.0, -60.0, 20.0] + rng.normal(0, 30, n))
    sums = np.hstack([np.eye(6)[cell], flags]) * months[:, None]
    found = leave_one_out(sums, cost, months, np.arange(9) >= 6)
    equations = normal_equations(cell, flags, months, cost)
    cells, add_ons = cells_and_add_ons(equations.xtx[0], equations.xty[0])
    assert len(cells) == N_CELLS and add_ons[1] == 0
    np.testing.assert_allclose(found.amounts, [*cells[:6], *add_ons], atol=1e-7)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weak", [0.0, 3.0, -100.0])
def test_each_centre_left_out_equals_a_fit_without_it(seed, weak):
    """``weak`` brings the second add-on to the edge of 0, so that single centres decide whether it is there."""
    data = frame(seed, 25, noise=25.0)
    data["cost"] += data["flag_kol"] * (weak - ADD_ONS[1])
    totals = Totals.from_frame(data)
    for model in models_of(totals):
        columns, sums = model.columns(totals)
        root = np.sqrt(totals.months)
        least = [0.0 if kind == "flag" else -np.inf for kind, _ in columns]
        predicted = []
        for k in range(len(root)):
            others = np.arange(len(root)) != k
            norm = np.linalg.norm(sums / root[:, None], axis=0)
            beta = lsq_linear((sums / root[:, None] / norm)[others], (totals.cost / root)[others], (least, np.inf),
                              method="bvls", tol=1e-14).x / norm
            predicted.append(sums[k] @ beta / totals.months[k])
        np.testing.assert_allclose(model.fit(totals).left_out, predicted, rtol=1e-6, err_msg=model.name)


def test_the_edge_is_met_on_both_sides():
    """The cases above do hold add-ons that come and go with single centres."""
    at_zero = []
    for seed in range(6):
        data = frame(seed, 25, noise=25.0)
        data["cost"] += data["flag_kol"] * (3.0 - ADD_ONS[1])
        chronic = next(m for m in models_of(Totals.from_frame(data)) if m.name == "chronic")
        at_zero += [chronic.fit(Totals.from_frame(data.drop(k))).amounts[-1] == 0 for k in range(25)]
    assert 0 < sum(at_zero) < len(at_zero)
    assert any(0 < sum(at_zero[i:i + 25]) < 25 for i in range(0, len(at_zero), 25))


def test_two_centres_alike_may_as_well_be_one():
    data = frame(3, noise=20.0)
    first = data.iloc[:1]
    twin = first.assign(centre_id="twin", **{c: first[c] * 3 for c in data.columns[1:-1]})
    merged = first.assign(**{c: first[c] * 4 for c in data.columns[1:-1]})
    apart, together = pd.concat([data, twin]), pd.concat([merged, data.iloc[1:]])
    for name, fit in fitted(apart).items():
        np.testing.assert_allclose(fit.amounts, fitted(together)[name].amounts, rtol=1e-9, err_msg=name)


def test_any_two_centres_merged_leave_the_mean_and_the_sum_paid():
    """Not the amounts: two unlike centres say more apart than together."""
    data = frame(4, noise=20.0)
    merged = pd.concat([data.iloc[2:], data.iloc[:2].sum(numeric_only=True).to_frame().T.assign(centre_id="both")])
    apart, together = fitted(data), fitted(merged.drop(columns="covariate_cni"))
    np.testing.assert_allclose(apart["flat"].amounts, together["flat"].amounts)
    assert not np.allclose(apart["age_sex"].amounts, together["age_sex"].amounts, rtol=1e-3)


@pytest.mark.parametrize("model", ["flat", "age_sex", "age_sex_covariates", "chronic"])
def test_what_is_paid_in_all_is_what_it_costs(model):
    """Months are the sum of the age and sex columns, so Σ (paid − cost) = 0 is one of the normal equations."""
    totals = Totals.from_frame(frame(5, noise=30.0))
    fit = {m.name: m for m in models_of(totals)}[model].fit(totals)
    assert (fit.model.columns(totals)[1] @ fit.amounts).sum() == pytest.approx(totals.cost.sum(), rel=1e-10)


def test_an_index_is_scaled_by_one_number():
    totals = Totals.from_frame(frame(6, noise=10.0))
    fit = fitted(frame(6, noise=10.0))["index_published"]
    x, M = totals.sums("index")[:, 0], totals.months
    assert fit.amounts == pytest.approx([(x * totals.cost / M).sum() / (x * x / M).sum()])


def test_costs_times_three_are_amounts_times_three():
    data = frame(7, noise=30.0)
    for name, fit in fitted(data.assign(cost=3 * data["cost"])).items():
        np.testing.assert_allclose(fit.amounts, 3 * fitted(data)[name].amounts, rtol=1e-9, atol=1e-12)


def test_columns_that_follow_from_others_change_no_payment():
    data = frame(8, noise=30.0)
    split = data.drop(columns="age_sex_K_0_49").assign(
        age_sex_a=data["age_sex_K_0_49"] * 0.4, age_sex_b=data["age_sex_K_0_49"] * 0.6,
        flag_same=data["flag_kol"] / 2, flag_old=data["age_sex_K_50_up"] / 3, flag_nobody=0.0)
    for name, fit in fitted(split).items():
        np.testing.assert_allclose(fit.left_out, fitted(data)[name].left_out, rtol=1e-8, err_msg=name)
    chronic = fitted(split)["chronic"]
    assert not chronic.is_unique and np.isnan(chronic.amounts[-1])  # of a condition nobody has nothing is known
    assert "one choice among many" in " ".join(compare_totals(Totals.from_frame(split), 0.7, resamples=100).warnings)


@pytest.mark.parametrize("seed", range(5))
def test_a_condition_that_age_already_says_gets_nothing(seed):
    data = frame(seed, noise=30.0)
    fit = fitted(data.assign(flag_old=data["age_sex_K_50_up"] / 3))["chronic"]
    assert fit.amounts[-1] == 0
    np.testing.assert_allclose(fit.amounts[:-1], fitted(data)["chronic"].amounts, rtol=1e-8)


def test_settled_on_one_budget_to_the_ore_whatever_the_order_of_rows():
    data = frame(9, noise=30.0)
    one, other = (compare_totals(Totals.from_frame(d), 0.7, 1_000_000.01, resamples=100)
                  for d in (data, data.sample(frac=1, random_state=1)))
    assert {int(s.reimbursement_ore.sum()) for s in one.comparison.settlements.values()} == {100_000_001}
    assert one.results() == other.results()
    pd.testing.assert_frame_equal(one.centres_frame(), other.centres_frame())
    assert list(one.comparison.models) == ["flat", "index_published", "age_sex", "age_sex_covariates", "chronic",
                                           "chronic_covariates"]
    assert (one.comparison.contrasts[0].model, one.comparison.contrasts[0].against) == ("chronic", "age_sex")
    assert np.isnan(one.comparison.contrasts[0].random_list_ratio)  # R² of persons is not known


def test_a_centre_is_paid_by_amounts_set_without_it():
    data = frame(10, noise=30.0)
    dear = data.assign(cost=data["cost"].where(data.index != 0, 5 * data["cost"]))
    fit, fit_dear = fitted(data)["chronic"], fitted(dear)["chronic"]
    k = Totals.from_frame(data).centre_ids.tolist().index(data["centre_id"][0])
    assert fit_dear.left_out[k] == pytest.approx(fit.left_out[k])
    assert not np.allclose(fit_dear.amounts, fit.amounts, rtol=1e-2)
    totals = Totals.from_frame(dear)
    paid = compare_totals(totals, 0.7, resamples=100).comparison.settlements["chronic"]
    np.testing.assert_allclose(paid.unscaled_sek, 0.7 * fit_dear.left_out * totals.months)


def test_payments_below_nothing_are_nothing_and_said():
    """One centre of the very young only, where the others' trend goes below 0."""
    young, months = np.array([0.1, 0.2, 0.3, 0.2, 0.95]), np.full(5, 1000.0)
    data = pd.DataFrame({"centre_id": list("abcde"), "months": months,
                         "cost": months * np.array([390, 200, 10, 200, 0]),
                         "age_sex_young": young * months, "age_sex_old": (1 - young) * months})
    compared = compare_totals(Totals.from_frame(data), 0.7, resamples=100)
    assert compared.fits["age_sex"].left_out[4] < 0
    assert compared.comparison.settlements["age_sex"].reimbursement_ore[4] == 0
    assert any("less than nothing, the first e" in w for w in compared.warnings)
    assert any("below 0, the first young" in w for w in compared.warnings)


def test_too_few_centres_for_the_columns_is_said():
    with pytest.raises(DataError, match="4 centres cannot set the 4 amounts of age_sex"):
        compare_totals(Totals.from_frame(frame(1, 4)), 0.7)
    with pytest.raises(UserError, match="at least three centres"):
        compare_totals(Totals.from_frame(frame(1, 2)), 0.7)


def test_a_centre_alone_in_a_column_is_said():
    data = frame(11)
    data["flag_rare"] = np.where(data["centre_id"] == "c007", 5.0, 0.0)
    data["cost"] += 100 * data["flag_rare"]
    with pytest.raises(DataError, match="value 'c007': no other centre can set what chronic pays this one"):
        compare_totals(Totals.from_frame(data), 0.7)


def test_amounts_are_read_back_as_a_table_of_five_year_bands(tmp_path):
    compared = compare_totals(Totals.from_frame(frame(12)), 0.7, resamples=100)
    compared.amounts_frame().to_csv(tmp_path / "amounts.csv", index=False)
    table = read_amounts(tmp_path / "amounts.csv", "chronic")
    np.testing.assert_allclose(table.cells[[0, 9]], 0.7 * np.array([[30, 90]] * 2))
    np.testing.assert_allclose(table.cells[[10, 20]], 0.7 * np.array([[250, 310]] * 2))
    np.testing.assert_allclose(table.add_ons, 0.7 * ADD_ONS)
    flat = read_amounts(tmp_path / "amounts.csv", "flat")
    assert np.unique(flat.cells).size == 1


@pytest.mark.parametrize("name, bands", [
    ("k_60_64", {(12, 0)}), ("M_60_69", {(12, 1), (13, 1)}), ("k_95_up", {(19, 0), (20, 0)}), ("k_100_up", {(20, 0)}),
    ("k_61_65", set()), ("x_60_64", set()), ("k_60", set()), ("k_60_55", set()), ("old", set())])
def test_names_of_bands(name, bands):
    assert set(cells_of(name)) == bands
