"""Competitors: care need, highest only, count, constrained, credibility, upper bounds, centre effects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.amounts import COUNTS, AmountTable, blend, read_amounts
from lakemedelsmodell.data.cohort import Profiles
from lakemedelsmodell.errors import DataError, UserError
from lakemedelsmodell.evaluation.few import set_by_enough
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.measures import compare
from lakemedelsmodell.models import (
    AgeSex,
    AgeSexCni,
    Boosting,
    CentreEffects,
    ChronicConditions,
    ChronicNewcomers,
    Constrained,
    Count,
    Credibility,
    Flat,
    HighestOnly,
    LastCost,
    Oracle,
    credibility,
    fit_models,
    out_of_fold,
    prior_cost,
    style_contamination,
    thin_group_warnings,
)
from lakemedelsmodell.models.benchmarks import highest_of
from lakemedelsmodell.models.credibility import buhlmann_straub
from lakemedelsmodell.models.least_squares import constrained_solution, least_squares
from lakemedelsmodell.models.named_groups import named_groups
from lakemedelsmodell.payment.month import Tariff
from lakemedelsmodell.settlement import Prediction, care_need, pay_per_month, settle

ALPHA = 0.7


def design(data):
    return np.hstack([np.eye(N_CELLS)[data.cell], data.flags["dispensed"].astype(float)])


def with_cni(data, cni):
    return replace(data, centres=data.centres.assign(cni=np.asarray(cni, dtype=float)))


@pytest.fixture(scope="module")
def dense():
    return random_cohort(11, n=3000, n_flags=6)


# Care need


def test_care_need_by_hand():
    """Cost is 10 + 4 × CNI a month for everyone."""
    data = with_cni(cohort([0, 1, 2], 6 * (10 + 4 * np.array([0.5, 1.0, 3.0]))), [0.5, 1.0, 3.0])
    fitted = AgeSexCni().fit(data, ALPHA)
    assert fitted.per_cni == pytest.approx(ALPHA * 4)
    assert fitted.cells[12, 1] == pytest.approx(ALPHA * 10)
    np.testing.assert_allclose(settle(fitted, data, ALPHA).net_per_month, 0, atol=0.01)


def test_care_need_is_least_squares(dense):
    data = with_cni(dense, np.linspace(0.4, 2.8, 7))
    X = np.hstack([np.eye(N_CELLS)[data.cell], care_need(data)[data.centre][:, None]])
    root = np.sqrt(data.exposure)
    plain = np.linalg.lstsq(root[:, None] * X, data.cost / root, rcond=None)[0]
    fitted = AgeSexCni().fit(data, 1.0)
    np.testing.assert_allclose([*fitted.cells.reshape(-1), fitted.per_cni], plain, rtol=1e-8)
    np.testing.assert_allclose(pay_per_month(fitted, data), X @ plain)
    payer = out_of_fold(AgeSexCni(), data, 1.0)
    mine = data.centre == 3
    without = AgeSexCni().fit(data.rows(~mine), 1.0)
    np.testing.assert_allclose(payer.per_row[mine], pay_per_month(without, data)[mine], rtol=1e-8)


def test_without_care_need_the_model_is_left_out_with_a_warning(dense):
    payers, warnings = fit_models([AgeSex(), AgeSexCni()], dense, dense, ALPHA)
    assert list(payers) == ["age_sex"]
    assert len(warnings) == 1
    assert warnings[0].startswith("age_sex_cni is left out: The care-need index of 7 centres is not known")
    known = with_cni(dense, [1, 2, np.nan, 1, 1, 1, 1])
    assert "of 1 centres is not known, first c00002" in fit_models([AgeSexCni()], known, known, ALPHA)[1][0]
    table_with = AgeSexCni().fit(with_cni(dense, np.arange(7)), ALPHA)
    with pytest.raises(UserError, match="Give the column cni"):
        settle(table_with, dense, ALPHA)


# Newcomers


def with_newcomers(data, new):
    return replace(data, prior_cost=np.where(new, np.nan, 12.0))


def test_newcomers_by_hand(tmp_path):
    """Cost is 10 a month, 30 with the condition, and 7 more for who is new, whose condition is not seen."""
    flags = np.array([[0], [1], [0], [1]])
    data = with_newcomers(cohort([0, 0, 1, 1], 6 * np.array([10.0, 30, 17, 37]), flags=flags), [0, 0, 1, 1])
    fitted = ChronicNewcomers().fit(data, ALPHA)
    assert [fitted.cells[12, 1], *fitted.add_ons, fitted.per_newcomer] == pytest.approx([7, 14, 4.9])
    settlement = settle(fitted, data, ALPHA)
    np.testing.assert_allclose(settlement.net_per_month, 0, atol=0.01)
    assert settle(ChronicConditions().fit(data, ALPHA), data, ALPHA).net_per_month[1] < -1

    paid = fitted.rounded()
    assert paid.per_newcomer == 5
    paid.to_csv(tmp_path / "amounts.csv")
    again = read_amounts(tmp_path / "amounts.csv", "chronic_newcomers")
    assert (again.per_newcomer, again.add_ons.tolist()) == (5, [14])
    assert "+ 5 SEK for who was listed nowhere in the look-back." in paid.explain(60, "M").note
    assert blend(table(7.0), paid, 0.5).per_newcomer == 2.5
    with pytest.raises(UserError, match="does not find out"):
        Tariff.of(paid)


def test_newcomers_cost_what_they_are_paid(dense):
    """The normal equation of their column: Σ e x'β = Σ C over them, and over every cell and condition above 0."""
    data = with_newcomers(replace(dense, cost=dense.cost + 5 * dense.months * (dense.person % 5 == 0)),
                          dense.person % 5 == 0)
    fitted = ChronicNewcomers().fit(data, 1.0)
    left = data.cost - data.exposure * pay_per_month(fitted, data)
    assert fitted.per_newcomer > 0
    columns = np.column_stack([design(data), np.isnan(data.prior_cost)])
    kept = np.append(np.ones(N_CELLS, dtype=bool), np.append(fitted.add_ons, fitted.per_newcomer) > 0)
    np.testing.assert_allclose((columns.T @ left)[kept], 0, atol=1e-6 * data.cost.sum())
    assert ((columns.T @ left)[~kept] <= 0).all()


def test_without_newcomers_it_is_the_proposal_and_unknown_history_leaves_it_out(dense):
    nobody = with_newcomers(dense, np.zeros(len(dense.cost)))
    fitted, plain = ChronicNewcomers().fit(nobody, ALPHA), ChronicConditions().fit(nobody, ALPHA)
    assert fitted.per_newcomer is None
    np.testing.assert_allclose(fitted.cells, plain.cells)
    np.testing.assert_allclose(fitted.add_ons, plain.add_ons)
    payers, warnings = fit_models([ChronicNewcomers()], dense, dense, ALPHA)
    assert (payers, len(warnings)) == ({}, 1)
    assert "Give the listings of the look-back" in warnings[0]
    four = with_newcomers(dense, np.isin(dense.person, np.unique(dense.person)[:4]))
    known = replace(fitted, per_newcomer=8.0)
    assert set_by_enough(known, four).per_newcomer is None
    assert set_by_enough(known, with_newcomers(dense, dense.person >= 0)).per_newcomer == 8


# Highest only, count


def test_highest_pays_the_dearest_condition_only():
    paying = replace(table(10, [5.0, 20.0, np.nan]), kind="highest")
    flags = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    np.testing.assert_allclose(paying.per_month(np.zeros(4, int), flags), [30, 15, 10, 10])
    data = cohort([0, 0, 1, 1], [1.0, 1, 1, 1], flags=flags)
    np.testing.assert_allclose(settle(paying, data, 1.0).unscaled_sek, [6 * 45, 6 * 20])


def test_highest_finds_the_amounts_it_was_built_from():
    rng = np.random.default_rng(5)
    truth = replace(table(30, [15.0, 90.0, 40.0]), kind="highest")
    data = cohort(0, np.zeros(4000), flags=rng.random((4000, 3)) < 0.4, months=rng.integers(1, 7, 4000))
    data = replace(data, cost=data.months * pay_per_month(truth, data))
    fitted = HighestOnly().fit(data, 1.0)
    np.testing.assert_allclose(fitted.add_ons, truth.add_ons)
    assert fitted.cells[12, 1] == pytest.approx(30)
    assert fitted.explain(60, "M", ["condition0", "condition2"]).total == pytest.approx(70)
    payer = out_of_fold(HighestOnly(), data, 1.0)
    np.testing.assert_allclose(payer.per_row, data.cost / data.months)


def test_count_is_means_by_number_held():
    flags = np.array([[0] * 6, [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1] * 4 + [0] * 2, [1] * 6])
    data = cohort(0, 6.0 * np.array([10, 25, 45, 60, 100, 120]), flags=flags)
    fitted = Count().fit(data, 1.0)
    assert fitted.conditions == COUNTS
    np.testing.assert_allclose(fitted.add_ons, [15, 35, 50, 100])  # four and six conditions share the last
    np.testing.assert_allclose(pay_per_month(fitted, data), [10, 25, 45, 60, 110, 110])
    assert fitted.explain(60, "M", ["a", "b"]).parts[1].label == "number of chronic conditions: 2"
    assert fitted.first_add_on("condition0") == pytest.approx(15)


def test_kinds_are_read_back_as_written(tmp_path):
    data = random_cohort(2)
    for model in (HighestOnly(), Count()):
        model.fit(data, ALPHA).to_csv(tmp_path / f"{model.name}.csv")
        read = read_amounts(tmp_path / f"{model.name}.csv", model.name)
        assert read.kind == model.kind
        np.testing.assert_array_equal(settle(read, data, ALPHA).reimbursement_ore,
                                      settle(model.fit(data, ALPHA), data, ALPHA).reimbursement_ore)
    data = with_cni(data, np.arange(7))
    AgeSexCni().fit(data, ALPHA).to_csv(tmp_path / "cni.csv")
    assert read_amounts(tmp_path / "cni.csv", "age_sex_cni").per_cni == AgeSexCni().fit(data, ALPHA).per_cni


def test_a_file_that_mixes_kinds_is_refused(tmp_path):
    frame = table(10, [5.0, 20.0]).to_frame()
    frame.loc[frame["name"] == "condition1", "kind"] = "highest"
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    with pytest.raises(DataError, match="condition and highest"):
        read_amounts(tmp_path / "mixed.csv", "by hand")
    with pytest.raises(ValueError, match="by count"):
        replace(table(10, [5.0]), kind="count")


# Constrained regression


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(60, 5))
    y = rng.normal(size=60)
    return X.T @ X, np.linalg.lstsq(X, y, rcond=None)[0], rng.normal(size=(2, 5))


def test_constrained_regression_in_closed_form(problem):
    Q, free, A = problem
    c = A @ free + [1.0, -2.0]
    inverse = np.linalg.inv(Q)
    closed = free - inverse @ A.T @ np.linalg.inv(A @ inverse @ A.T) @ (A @ free - c)
    np.testing.assert_allclose(constrained_solution(Q, free, A, c, np.array([True, True])), closed, rtol=1e-9)


@pytest.mark.parametrize("equal", [[False, False, False], [True, False, False], [False, True, False]])
def test_constrained_regression_as_a_generic_optimiser(problem, equal):
    from scipy.optimize import minimize

    Q, free, A = problem
    A, equal = np.vstack([A, np.eye(5)[2]]), np.array(equal)
    c = np.array([*(A[:2] @ free + [0.3, -0.2]), 0.05])
    generic = minimize(
        lambda b: (b - free) @ Q @ (b - free), free, jac=lambda b: 2 * Q @ (b - free), method="SLSQP",
        constraints=[{"type": "eq" if e else "ineq", "fun": lambda b, a=a, v=v: a @ b - v, "jac": lambda b, a=a: a}
                     for a, v, e in zip(A, c, equal, strict=True)], options={"ftol": 1e-14, "maxiter": 500}).x
    found = constrained_solution(Q, free, A, c, equal)
    np.testing.assert_allclose(found, generic, atol=1e-6)
    assert (A @ found >= c - 1e-9).all()


def test_what_no_constraint_binds_is_least_squares(problem):
    Q, free, A = problem
    np.testing.assert_allclose(constrained_solution(Q, free, A, A @ free - 1, np.array([False, False])), free)


def test_protected_groups_are_paid_their_cost():
    rng = np.random.default_rng(3)
    n = 4000
    centre = rng.integers(0, 10, n)
    cni = np.linspace(0.5, 3, 10)
    flags = rng.random((n, 3)) < 0.1 + 0.1 * cni[centre, None]
    cost = 6 * rng.exponential(20 + flags @ [30, 60, 5] + 15 * (cni[centre] - 1).clip(0))
    data = with_cni(cohort(centre, cost, flags=flags, n_centres=10), cni)
    group = dict(named_groups(data))["cni:most_deprived_fifth"]

    def ratio(model, mask):
        return (data.months * pay_per_month(model, data))[mask].sum() / data.cost[mask].sum()

    plain, kept = ChronicConditions().fit(data, 1.0), Constrained().fit(data, 1.0)
    assert ratio(plain, group) < 0.99
    assert ratio(kept, group) == pytest.approx(1, abs=1e-6)
    assert ratio(kept, np.ones(n, bool)) == pytest.approx(1)
    assert (kept.add_ons >= 0).all()
    assert "cni:most_deprived_fifth" in kept.source


def test_groups_that_cannot_all_be_paid_are_refused():
    """Everyone is in one cell without flags, so no amount pays the dear half in full but the cheap half its cost."""
    flags = [[1, 1, 1, 1], [0, 0, 0, 0]]
    data = replace(cohort(0, [60.0, 30.0], flags=flags), flags={"dispensed": np.array(flags, dtype=bool)})
    alike = replace(data, flags={"dispensed": np.zeros((2, 4), dtype=bool)}, groups={"dear": np.array([True, False])})
    with pytest.raises(UserError, match="No amounts pay dear in full"):
        Constrained(protected=("dear",)).fit(alike, 1.0)


def test_without_a_group_to_protect_it_is_the_chronic_model(dense):
    plain, kept = ChronicConditions().fit(dense, ALPHA), Constrained(protected=()).fit(dense, ALPHA)
    np.testing.assert_allclose(kept.cells, plain.cells, rtol=1e-6)
    np.testing.assert_allclose(kept.add_ons, plain.add_ons, atol=1e-6)


# Credibility


def test_buhlmann_straub_by_hand():
    """Equal exposures: b̄ is the mean, τ² the variance (ddof 1) less σ²/E, Z = E/(E + σ²/τ²)."""
    z, mean = buhlmann_straub(np.array([10.0, 20.0, 60.0]), np.full(3, 50.0), 2000.0)
    tau2 = 700 - 2000 / 50
    np.testing.assert_allclose(z, 50 / (50 + 2000 / tau2))
    assert mean == pytest.approx(30)


def test_where_chance_explains_all_nothing_is_believed():
    z, mean = buhlmann_straub(np.array([10.0, 12.0]), np.array([10.0, 30.0]), 1e6)
    np.testing.assert_array_equal(z, 0)
    assert mean == pytest.approx(11.5)


def test_thin_groups_are_drawn_to_the_mean_and_the_rest_fitted_beside_them():
    rng = np.random.default_rng(1)
    n = 6000
    flags = rng.random((n, 4)) < [0.3, 0.2, 0.25, 0.01]
    data = cohort(rng.integers(0, 5, n), 6 * (rng.exponential(50, n) + flags @ [40, 120, 10, 300]), flags=flags)
    trust = credibility(data, "dispensed")
    thin = trust["thin"].to_numpy()
    np.testing.assert_array_equal(thin, [False, False, False, True])
    plain, steady = ChronicConditions().fit(data, 1.0), Credibility().fit(data, 1.0)
    np.testing.assert_allclose(trust["add_on"], plain.add_ons)
    row = trust.iloc[3]
    mean = (trust["z"] * trust["add_on"]).sum() / trust["z"].sum()
    assert steady.add_ons[3] == pytest.approx(row["z"] * row["add_on"] + (1 - row["z"]) * mean)
    assert abs(steady.add_ons[3] - mean) < abs(plain.add_ons[3] - mean)
    paid = data.months * pay_per_month(steady, data)
    for c in range(3):
        on = flags[:, c]
        assert paid[on].sum() / data.cost[on].sum() == pytest.approx(1)
    said = thin_group_warnings(trust)
    assert len(said) == 1
    assert said[0].startswith(f"condition3: held by {row['persons']} persons")


def test_the_variance_is_that_of_a_listed_month():
    """Costs over m months with variance mσ² around known means give σ² back."""
    rng = np.random.default_rng(2)
    n = 40_000
    months = rng.integers(1, 7, n)
    flags = np.arange(n)[:, None] % 3 == np.arange(2)
    data = cohort(0, 1000 * months + flags @ [200, 500] * months + rng.normal(0, 30, n) * np.sqrt(months), flags=flags,
                  months=months)
    trust = credibility(data, "dispensed")
    np.testing.assert_allclose(trust["standard_error"] * np.sqrt(trust["listed_months"]), 30, rtol=0.03)


def test_a_group_nobody_holds_pays_nothing_and_is_named():
    data = cohort(0, [60.0, 90.0, 60.0, 95.0], flags=[[0, 0], [1, 0], [0, 0], [1, 0]])
    trust = credibility(data, "dispensed")
    assert thin_group_warnings(trust)[1] == "condition1: held by nobody when the amounts were set, so it pays nothing."
    assert np.isnan(Credibility().fit(data, 1.0).add_ons[1])


# Upper bounds


def test_last_cost_by_hand():
    """Cost is 5 + half the prior cost; who has no history costs 40."""
    prior = np.array([0.0, 20, 60, np.nan] * 3)
    data = cohort(np.repeat([0, 1, 2], 4), 6 * np.where(np.isnan(prior), 40, 5 + np.nan_to_num(prior) / 2))
    payer = LastCost().fit(data, 1.0, replace(data, prior_cost=prior))
    np.testing.assert_allclose(payer.per_row, data.cost / 6)
    assert payer.table is None
    assert LastCost().lacks(data)


def test_prior_cost_follows_the_person():
    before = cohort([0, 1, 1], [60.0, 30.0, 50.0], months=[3, 3, 5], person=[0, 0, 2])
    paid = cohort([0, 0, 1], [1.0, 1.0, 1.0], person=[0, 1, 2])
    np.testing.assert_allclose(prior_cost(paid, before), [15, np.nan, 10])


def test_the_oracle_pays_what_was_expected():
    data = random_cohort(9)
    payer = Oracle(data.cost / data.months).fit(data, ALPHA, data)
    paid = settle(payer, data, ALPHA)
    np.testing.assert_allclose(paid.net_sek, 0, atol=0.01)
    assert paid.phi == pytest.approx(1)
    with pytest.raises(ValueError, match="rows"):
        Oracle(np.zeros(3)).fit(data, ALPHA, data)


@pytest.fixture(scope="module")
def interaction():
    """A cost that only shows where two conditions meet: no sum of add-ons can follow it."""
    rng = np.random.default_rng(4)
    n = 6000
    flags = rng.random((n, 3)) < 0.4
    cost = 6 * (20 + 200 * (flags[:, 0] & flags[:, 1]) + rng.exponential(10, n))
    return cohort(rng.integers(0, 20, n), cost, flags=flags, months=6)


def test_boosting_sees_interactions_and_nobody_pays_by_it(interaction):
    payers, _ = fit_models([ChronicConditions(), Boosting()], interaction, interaction, ALPHA)
    found = compare(payers, interaction, ALPHA, contrasts=[("boosting", "chronic")])
    assert found.fits["boosting"].r2 > 0.95 > 0.85 > found.fits["chronic"].r2
    assert set(found.tables) == {"chronic"}
    assert set(found.models) == {"chronic", "boosting"}
    assert found.settlements["boosting"].reimbursement_ore.sum() == found.settlements["chronic"].budget_ore


def test_boosting_is_deterministic_and_takes_a_sample_by_hash(interaction):
    other = random_cohort(1, n_flags=3)
    small = Boosting(persons=500)
    one, two = (small.fit(interaction, ALPHA, other).per_row for _ in range(2))
    np.testing.assert_array_equal(one, two)
    rows = small._sample(interaction)
    assert len(np.unique(interaction.person[rows])) == 500
    twice = interaction.rows(np.random.default_rng(0).permutation(6000))
    assert set(twice.person[small._sample(twice)]) == set(interaction.person[rows])


def test_boosting_of_profiles_grows_the_trees_of_single_rows():
    """Also where a leaf's least number of rows binds, in profiles of one row and of hundreds."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(8)
    flags = rng.random((6000, 5)) < [0.004, 0.01, 0.05, 0.2, 0.5]
    months = rng.integers(1, 7, 6000).astype(float)
    data = cohort(rng.integers(0, 5, 6000), months * (rng.exponential(30, 6000) + flags @ [900, 500, 200, 40, 10]),
                  flags=flags, months=months, band=rng.integers(4, 12, 6000), sex=rng.integers(0, 2, 6000))
    X = np.column_stack([data.band, data.sex, data.flags["dispensed"]]).astype(float)
    plain = HistGradientBoostingRegressor(max_iter=50, learning_rate=0.2, max_leaf_nodes=15, min_samples_leaf=100,
                                          early_stopping=False).fit(X, data.cost / months, sample_weight=months)
    np.testing.assert_allclose(Boosting().fit(data, 1.0, replace(data)).per_row, plain.predict(X), rtol=1e-5)


def test_boosting_on_its_own_cohort_predicts_each_centre_from_others():
    """Noise that is only a centre's own cannot be learnt from others."""
    data = cohort(np.repeat([0, 1], 300), np.repeat([60.0, 600.0], 300), band=np.repeat([3, 15], 300))
    np.testing.assert_allclose(Boosting().fit(data, 1.0, data).per_row, np.repeat([100.0, 10.0], 300))


# Centre effects


def test_centre_effects_are_a_regression_with_dummies(dense):
    data = dense
    X = np.hstack([design(data), np.eye(7)[data.centre]])
    fitted = CentreEffects().fit(data, 1.0)
    paid = fitted.add_ons > 0
    used = np.concatenate([np.ones(N_CELLS, bool), paid, np.ones(7, bool)])
    root = np.sqrt(data.exposure)
    beta = np.linalg.lstsq(root[:, None] * X[:, used], data.cost / root, rcond=None)[0]
    np.testing.assert_allclose(fitted.add_ons[paid], beta[N_CELLS:N_CELLS + paid.sum()], rtol=1e-7)
    np.testing.assert_allclose(np.diff(fitted.cells.reshape(-1)), np.diff(beta[:N_CELLS]), rtol=1e-6, atol=1e-7)
    assert (data.months * pay_per_month(fitted, data)).sum() == pytest.approx(data.cost.sum())


def test_style_that_goes_with_flags_is_found_out():
    """Centre 1 prescribes 50 more to everyone and flags three times as many; the condition itself costs 20."""
    rng = np.random.default_rng(6)
    centre = np.repeat([0, 1], 2000)
    flags = (rng.random(4000) < np.where(centre == 1, 0.6, 0.2))[:, None]
    data = cohort(centre, 6 * (100 + 50 * centre + 20 * flags[:, 0]), flags=flags)
    plain = ChronicConditions().fit(data, 1.0)
    found = style_contamination(plain, data, 1.0).query("kind == 'condition'").iloc[0]
    assert found["first"] > 35
    assert found["second"] == pytest.approx(20)
    assert found["change"] == pytest.approx(found["second"] - found["first"])


# Groups no model sees


def test_groups_by_hand():
    about = pd.DataFrame({"centre_id": ["a", "b", "c", "d", "e"], "cni": [1, 2, 5, np.nan, 0.5],
                          "operator": ["public", "private", "private", "public", None],
                          "rural": [True, False, False, False, False]})
    data = replace(cohort([0, 1, 2, 3, 4, 4], [1.0] * 6, person=[0, 0, 1, 2, 3, 4], months=[3, 3, 6, 6, 6, 2],
                          flags=[[0, 0], [0, 0], [1, 0], [0, 0], [0, 1], [0, 0]]), centres=about,
                   groups={"dose_dispensed:yes": np.arange(6) == 2})
    found = {name: np.flatnonzero(mask).tolist() for name, mask in named_groups(data)}
    assert found["movers"] == [0, 1]
    assert found["part_of_period"] == [5]
    assert found["conditions:0"] == [0, 1, 3, 5]
    assert found["conditions:1"] == [2, 4]
    assert "conditions:4+" not in found
    assert found["cni:most_deprived_fifth"] == [2]
    assert found["operator:public"] == [0, 3]
    assert found["operator:private"] == [1, 2]
    assert found["rural:yes"] == [0]
    assert found["dose_dispensed:yes"] == [2]
    assert sorted(sum((found[f"list_size:{q}"] for q in (1, 2, 3, 4) if f"list_size:{q}" in found), [])
                  ) == list(range(6))


def test_prior_cost_is_cut_in_tenths_and_the_unknown_kept_apart():
    data = replace(cohort(0, np.ones(101)), prior_cost=np.append(np.arange(1.0, 101.0), np.nan))
    found = {name: np.flatnonzero(mask) for name, mask in named_groups(data)}
    np.testing.assert_array_equal(found["prior_cost:01"], np.arange(10))
    np.testing.assert_array_equal(found["prior_cost:10"], np.arange(90, 100))
    np.testing.assert_array_equal(found["prior_cost:unknown"], [100])


def test_a_comparison_measures_the_outside_groups_when_asked():
    data = random_cohort(3)
    tables = [Flat().fit(data, ALPHA), AgeSex().fit(data, ALPHA)]
    plain, more = (compare(tables, data, ALPHA, outside_groups=o) for o in (False, True))
    assert set(more.groups["group"]) - set(plain.groups["group"]) >= {"movers", "conditions:0"}
    pd.testing.assert_frame_equal(more.groups[:len(plain.groups)], plain.groups)


# One mechanism


def test_a_prediction_is_paid_as_the_table_it_repeats(dense):
    fitted = ChronicConditions().fit(dense, ALPHA)
    again = Prediction("again", pay_per_month(fitted, dense))
    found = compare([fitted, again], dense, ALPHA, contrasts=[])
    np.testing.assert_allclose(found.settlements["again"].reimbursement_ore,
                               found.settlements["chronic"].reimbursement_ore, atol=1)
    assert found.fits["again"] == found.fits["chronic"]
    with pytest.raises(UserError, match="Give the cohort of persons"):
        settle(again, dense.totals(), ALPHA)


def test_profiles_pay_what_rows_pay(dense):
    wide = random_cohort(3, n_flags=40)
    for data in (dense, wide):
        profiles = data.profiles("dispensed")
        np.testing.assert_array_equal(profiles.cell[profiles.of_row], data.cell)
        np.testing.assert_array_equal(profiles.flags[profiles.of_row], data.flags["dispensed"])
        key = np.column_stack([profiles.cell, profiles.flags])
        assert len(np.unique(key, axis=0)) == len(key)
    fitted = ChronicConditions().fit(dense, ALPHA)
    np.testing.assert_array_equal(pay_per_month(fitted, dense), fitted.per_month(dense.cell, dense.flags["dispensed"]))


def test_least_squares_without_bounds(dense):
    X, e = design(dense), dense.exposure
    beta = least_squares(X.T @ (e[:, None] * X), X.T @ dense.cost)
    np.testing.assert_allclose(X.T @ (e * (X @ beta) - dense.cost) / dense.cost.sum(), 0, atol=1e-11)


def test_table_models_say_what_they_are():
    assert isinstance(Count().fit(random_cohort(1), ALPHA), AmountTable)


def test_of_several_conditions_the_first_of_the_ladder_stays():
    flags = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]], dtype=bool)
    profiles = Profiles(np.arange(4), np.zeros(4, dtype=np.int64), flags)
    assert highest_of(profiles, np.array([2, 0, 1])).astype(int).tolist() == [
        [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
