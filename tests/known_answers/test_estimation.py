"""Estimation: the lines of the method's table of known answers."""

from dataclasses import replace

import numpy as np
import pytest

from cohorts import cohort, random_cohort
from lakemedelsmodell.errors import DataError
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.measures import fit_measures
from lakemedelsmodell.models import AgeSex, ChronicConditions, Flat, PublishedAgeSex, least_squares, out_of_fold
from lakemedelsmodell.models.least_squares import borrow_empty_cells, nonnegative_solution, normal_equations
from lakemedelsmodell.models.out_of_fold import folds_of

ALPHA = 0.7
MODELS = (Flat(), AgeSex(), ChronicConditions())


def design(data):
    """The whole design matrix, cells then flags, by the plainest means."""
    return np.hstack([np.eye(N_CELLS)[data.cell], data.flags["dispensed"].astype(float)])


@pytest.fixture(scope="module")
def dense():
    """Every cell listed, so that all columns can be estimated."""
    data = random_cohort(11, n=3000, n_flags=6)
    assert len(np.unique(data.cell)) == N_CELLS
    return data


def test_what_a_capped_add_on_pays_is_taken_from_the_cost_that_the_others_explain(dense):
    flags, e = dense.flags["dispensed"], dense.exposure
    sums = normal_equations(dense.cell, flags, e, dense.cost)
    _, free = least_squares.cells_and_add_ons(sums.xtx[0], sums.xty[0])
    dearest = int(np.argmax(free))
    cap = np.where(np.arange(len(free)) == dearest, free[dearest] / 2, np.inf)
    cells, add_ons = least_squares.bounded(sums.xtx[0], sums.xty[0], cap)
    rest = np.delete(flags, dearest, axis=1)
    left = normal_equations(dense.cell, rest, e, dense.cost - e * flags[:, dearest] * cap[dearest])
    expected = least_squares.cells_and_add_ons(left.xtx[0], left.xty[0])
    assert add_ons[dearest] == cap[dearest]
    np.testing.assert_allclose(cells, expected[0])
    np.testing.assert_allclose(np.delete(add_ons, dearest), expected[1], atol=1e-9)


def test_a_cell_and_a_flag_of_one_month_or_less_have_their_amounts():
    """Two persons of half a month each in one cell: 20 SEK a month, and with the flag 60."""
    xtx, xty = np.zeros((N_CELLS + 1, N_CELLS + 1)), np.zeros(N_CELLS + 1)
    xtx[7, 7], xtx[7, -1], xtx[-1, 7], xtx[-1, -1] = 1.0, 0.5, 0.5, 0.5
    xty[7], xty[-1] = 0.5 * 20 + 0.5 * 60, 0.5 * 60
    cells, add_ons = least_squares.cells_and_add_ons(xtx, xty)
    np.testing.assert_allclose((cells[7], add_ons[0]), (20, 40))
    assert np.isnan(np.delete(cells, 7)).all()


@pytest.mark.parametrize("block_rows", [1 << 16, 13])
def test_sums_are_those_of_the_plain_design_matrix(dense, monkeypatch, block_rows):
    monkeypatch.setattr(least_squares, "BLOCK_ROWS", block_rows)
    X, e = design(dense), dense.exposure
    sums = normal_equations(dense.cell, dense.flags["dispensed"], e, dense.cost, dense.centre, dense.n_centres)
    np.testing.assert_allclose(sums.total().xtx[0], X.T @ (e[:, None] * X), atol=1e-8)
    np.testing.assert_allclose(sums.total().xty[0], X.T @ dense.cost, rtol=1e-10)
    out = dense.centre != 4
    np.testing.assert_allclose(sums.without_each().xtx[4], X[out].T @ (e[out, None] * X[out]), atol=1e-8)
    np.testing.assert_allclose(sums.without_each().xty[4], X[out].T @ dense.cost[out], rtol=1e-9)


def test_predictive_ratio_is_one_in_every_cell_and_every_paid_flag(dense):
    """Weighted least squares, unscaled, α = 1: Σx(R̂−C) = 0 per column."""
    fitted = ChronicConditions().fit(dense, 1.0)
    predicted = dense.exposure * fitted.per_month(dense.cell, dense.flags["dispensed"])
    X = design(dense)
    paid, cost = X.T @ predicted, X.T @ dense.cost
    used = np.concatenate([np.ones(N_CELLS, bool), fitted.add_ons > 0])
    assert 0 < (fitted.add_ons > 0).sum() < 6, "the case should have flags on both sides of 0"
    np.testing.assert_allclose(paid[used] / cost[used], 1, rtol=1e-9)
    assert (paid[~used] > cost[~used]).all()  # held at 0: least squares alone would pay less than nothing


def test_add_ons_satisfy_the_conditions_of_non_negative_least_squares(dense):
    """Karush–Kuhn–Tucker: gradient 0 where β > 0, no descent at β = 0."""
    fitted = ChronicConditions().fit(dense, 1.0)
    X, e = design(dense), dense.exposure
    beta = np.concatenate([fitted.cells.reshape(-1), fitted.add_ons])
    gradient = X.T @ (e * (X @ beta) - dense.cost)
    scale = dense.cost.sum()
    free = np.concatenate([np.ones(N_CELLS, bool), fitted.add_ons > 0])
    np.testing.assert_allclose(gradient[free] / scale, 0, atol=1e-10)
    assert (gradient[~free] >= -1e-10 * scale).all()


def test_the_same_as_a_generic_solver(dense):
    from scipy.optimize import lsq_linear

    root = np.sqrt(dense.exposure)
    lower = np.concatenate([np.full(N_CELLS, -np.inf), np.zeros(6)])
    generic = lsq_linear(root[:, None] * design(dense), dense.cost / root, (lower, np.inf), tol=1e-14, method="bvls").x
    fitted = ChronicConditions().fit(dense, ALPHA)
    np.testing.assert_allclose(fitted.cells.reshape(-1), ALPHA * generic[:N_CELLS], rtol=1e-8)
    np.testing.assert_allclose(fitted.add_ons, ALPHA * generic[N_CELLS:], atol=1e-8)


def test_cells_are_means_by_hand():
    data = cohort(0, [60.0, 120.0, 0.0, 30.0], months=[6, 6, 6, 3], band=[0, 0, 0, 20], sex=[0, 0, 1, 1])
    cells = AgeSex().fit(data, 0.5).cells
    assert cells[0, 0] == pytest.approx(0.5 * 180 / 12)
    assert cells[0, 1] == 0
    assert cells[20, 1] == pytest.approx(0.5 * 30 / 3)
    np.testing.assert_allclose(Flat().fit(data, 0.5).cells, 0.5 * 210 / 21)


def test_orthogonal_flags_are_paid_their_difference_by_hand():
    """One cell, two flags crossed evenly: cost a + 20 z₁ + 50 z₂ exactly."""
    flags = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    data = cohort(0, 6 * (10 + flags @ [20, 50]), flags=flags)
    fitted = ChronicConditions().fit(data, 1.0)
    assert fitted.cells[12, 1] == pytest.approx(10)
    np.testing.assert_allclose(fitted.add_ons, [20, 50])


def test_a_flag_that_saves_money_pays_nothing_and_the_rest_are_fitted_without_it():
    flags = np.array([[0], [1], [0], [1]])
    data = cohort(0, [60, 30, 90, 60], flags=flags)
    fitted = ChronicConditions().fit(data, 1.0)
    assert fitted.add_ons[0] == 0
    assert fitted.cells[12, 1] == pytest.approx(240 / 24)


def test_two_flags_that_are_always_together_share_what_they_cost():
    flags = np.array([[0, 0], [1, 1], [0, 0], [1, 1]])
    fitted = ChronicConditions().fit(cohort(0, 6.0 * np.array([10, 40, 10, 40]), flags=flags), 1.0)
    assert fitted.add_ons.sum() == pytest.approx(30)
    assert fitted.cells[12, 1] == pytest.approx(10)


@pytest.mark.parametrize("seed", range(20))
def test_a_flag_that_whole_cells_carry_cannot_be_told_from_them_and_pays_nothing(seed):
    """In exact numbers nothing is left of the flag beside its cells; in floating point, dust."""
    rng = np.random.default_rng(seed)
    band, months, cost = rng.integers(0, 6, 60), rng.uniform(0.1, 6, 60), rng.exponential(100, 60)
    data = cohort(0, cost, flags=np.column_stack([band < 3, rng.random(60) < 0.3]), months=months, band=band)
    fitted = ChronicConditions().fit(data, 1.0)
    assert fitted.add_ons[0] == 0
    alone = ChronicConditions().fit(replace(data, flags={"dispensed": data.flags["dispensed"] & [False, True]}), 1.0)
    np.testing.assert_allclose(fitted.cells, alone.cells)


def test_exposure_weighs_rows():
    """A person listed for one month counts a sixth of one listed for six."""
    data = cohort(0, [10.0, 6 * 40.0], months=[1, 6])
    assert AgeSex().fit(data, 1.0).cells[12, 1] == pytest.approx(250 / 7)


def test_a_weight_is_a_number_of_such_rows():
    data = random_cohort(12, weighted=True)
    data = replace(data, weight=np.ceil(data.weight))
    repeated = replace(data, weight=None).rows(np.repeat(np.arange(len(data.cost)), data.weight.astype(int)))
    for model in MODELS:
        weighted, plain = model.fit(data, ALPHA), model.fit(repeated, ALPHA)
        np.testing.assert_allclose(weighted.cells, plain.cells, rtol=1e-9)
        np.testing.assert_allclose(weighted.add_ons, plain.add_ons, rtol=1e-7, atol=1e-9)


def test_fit_cost_is_what_amounts_are_fitted_to():
    data = random_cohort(13)
    capped = replace(data, fit_cost=np.minimum(data.cost, 200))
    for model in MODELS:
        np.testing.assert_array_equal(model.fit(capped, ALPHA).cells,
                                      model.fit(replace(data, cost=capped.fit_cost), ALPHA).cells)


def test_permuted_rows_give_the_same_amounts():
    data = random_cohort(14)
    shuffled = data.rows(np.random.default_rng(0).permutation(len(data.cost)))
    for model in MODELS:
        one, other = model.fit(data, ALPHA), model.fit(shuffled, ALPHA)
        np.testing.assert_allclose(other.cells, one.cells, rtol=1e-12)
        np.testing.assert_allclose(other.add_ons, one.add_ons, rtol=1e-9, atol=1e-12)


def test_a_cell_without_anyone_takes_the_amount_of_the_nearest_band_and_says_so():
    data = cohort(0, [60.0, 120.0, 180.0], band=[3, 5, 20], sex=[0, 0, 1])
    fitted = AgeSex().fit(data, 1.0)
    assert fitted.cells[4, 0] == fitted.cells[0, 0] == 10  # band 4 lies between 3 and 5: the younger lends
    assert fitted.cells[20, 0] == 20
    assert (fitted.cells[:, 1] == 30).all()
    assert "nobody was listed in 39 of 42 cells" in fitted.source


def test_a_sex_without_anyone_stays_unknown():
    assert np.isnan(AgeSex().fit(cohort(0, [60.0]), 1.0).cells[:, 0]).all()
    assert np.isnan(borrow_empty_cells(np.full((21, 2), np.nan))).all()


def test_a_flag_nobody_carries_has_no_amount():
    fitted = ChronicConditions().fit(cohort(0, [60.0, 120.0], flags=[[0, 0], [0, 1]]), 1.0)
    assert np.isnan(fitted.add_ons[0])
    assert fitted.add_ons[1] == pytest.approx(10)


def test_the_published_table_is_not_fitted():
    model = PublishedAgeSex(2025)
    assert model.fit(random_cohort(1), 0.3).amount(0, "K") == 27


def test_names_and_rules_of_the_two_chronic_models():
    data = random_cohort(15)
    few = data.flags["listed"].copy()
    few[::2] = False
    data = replace(data, flags={"dispensed": data.flags["dispensed"], "listed": few})
    plain, defended = ChronicConditions().fit(data, ALPHA), ChronicConditions("listed", "skane_wide").fit(data, ALPHA)
    assert (plain.model, plain.rule, plain.condition_set) == ("chronic", "dispensed", None)
    assert (defended.model, defended.rule, defended.condition_set) == ("chronic_strict", "listed", "skane_wide")
    assert not np.allclose(plain.add_ons, defended.add_ons)


# Out of fold --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_leaving_a_centre_out_of_the_sums_is_refitting_without_its_rows(model, weighted):
    data = random_cohort(16, weighted=weighted)
    found = out_of_fold(model, data, ALPHA)
    for k in range(data.n_centres):
        without, mine = model.fit(data.rows(data.centre != k), ALPHA), data.centre == k
        expected = without.per_month(data.cell[mine], data.flags["dispensed"][mine])
        np.testing.assert_allclose(found.per_row[mine], expected, rtol=1e-9)
    np.testing.assert_allclose(found.table.cells, model.fit(data, ALPHA).cells, rtol=1e-12)


def test_a_cost_in_ones_own_centre_does_not_move_ones_own_amount():
    data = random_cohort(17)
    dearer = replace(data, cost=np.where(data.centre == 2, data.cost * 50, data.cost))
    for model in MODELS:
        before, after = (out_of_fold(model, d, ALPHA).per_row for d in (data, dearer))
        np.testing.assert_allclose(after[data.centre == 2], before[data.centre == 2])
        assert (after[data.centre != 2] > before[data.centre != 2]).mean() > 0.5


def test_one_centre_is_cut_in_ten_by_person_and_a_person_stays_whole():
    data = random_cohort(18, n=5000, n_centres=1)
    folds, n = folds_of(data)
    assert n == 10
    sizes = np.bincount(folds[np.unique(data.person, return_index=True)[1]])
    assert (sizes > 0.8 * sizes.mean()).all()
    assert all(len(set(folds[data.person == p])) == 1 for p in np.unique(data.person)[:50])
    shuffle = np.random.default_rng(3).permutation(len(data.cost))
    np.testing.assert_array_equal(folds_of(data.rows(shuffle))[0], folds[shuffle])


def test_folds_follow_the_centres_that_list_someone():
    data = cohort([0, 2, 2, 5], [1.0, 2.0, 3.0, 4.0], n_centres=9)
    assert folds_of(data)[1] == 3
    np.testing.assert_allclose(out_of_fold(Flat(), data, 1.0).per_row, np.array([3.0, 2.5, 2.5, 2.0]) / 6)


def test_folds_of_ones_own():
    data = cohort(0, [6.0, 12.0, 18.0, 24.0])
    found = out_of_fold(Flat(), data, 1.0, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found.per_row, [3.5, 3.5, 1.5, 1.5])


def test_a_column_that_lives_in_one_centre_is_unknown_to_the_others():
    """A cell and a flag only at centre 0: its own row borrows, and is not paid for the flag."""
    data = cohort([0, 0, 1, 1], [60.1, 999.3, 30.2, 30.4], flags=[[0], [1], [0], [0]], months=[5.9, 6.1, 5.7, 6.3],
                  band=[12, 13, 12, 12])
    found = out_of_fold(ChronicConditions(), data, 1.0)
    np.testing.assert_allclose(found.per_row[:2], 60.6 / 12)


def test_a_sex_at_one_centre_only_cannot_be_predicted_and_is_named():
    with pytest.raises(DataError, match="column sex, value 'K'"):
        out_of_fold(AgeSex(), cohort([0, 0, 1], [1.0, 2.0, 3.0], sex=[0, 1, 1]), 1.0)


# The kernel ---------------------------------------------------------------------------------------------------------


def test_the_non_negative_solution_where_it_is_known():
    S, r = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([3.0, 3.0])
    np.testing.assert_allclose(nonnegative_solution(S, r), [1, 1])
    np.testing.assert_allclose(nonnegative_solution(S, np.array([4.0, -1.0])), [2, 0])
    np.testing.assert_allclose(nonnegative_solution(np.zeros((1, 1)), np.zeros(1)), [0])


def test_fit_measures_by_hand():
    """Two rows of 6 and 3 months: C per month 10 and 40, mean 20, predicted 15 and 30."""
    found = fit_measures(np.array([60.0, 120.0]), np.array([15.0, 30.0]), np.array([6.0, 3.0]))
    squared, deviation = 6 * 25 + 3 * 100, 6 * 100 + 3 * 400
    assert found.r2 == pytest.approx(1 - squared / deviation)
    assert found.cpm == pytest.approx(1 - (6 * 5 + 3 * 10) / (6 * 10 + 3 * 20))
    assert found.mae == pytest.approx(60 / 9)


def test_fit_of_a_perfect_and_of_a_flat_prediction():
    cost, e = np.array([60.0, 120.0, 0.0]), np.array([6.0, 3.0, 1.0])
    perfect, flat = fit_measures(cost, cost / e, e), fit_measures(cost, np.full(3, 18.0), e)
    assert (perfect.r2, perfect.cpm, perfect.mae) == (1, 1, 0)
    assert flat.r2 == pytest.approx(0)
    assert flat.cpm == pytest.approx(0)
    assert np.isnan(fit_measures(e * 5, np.full(3, 5.0), e).r2)  # nothing varies: nothing to explain


@pytest.mark.parametrize("months_a_row", [1.0, 0.001], ids=["of many months", "of less than one"])
def test_beside_centres_add_ons_are_those_of_dummies_and_the_amounts_pay_back_the_cost(months_a_row):
    rng = np.random.default_rng(5)
    n, K = 400, 4  # the last centre lists nobody, the last condition nobody has
    cell, centre = rng.integers(0, 4, n), rng.integers(0, K - 1, n)
    flags, e = rng.random((n, 3)) < [0.4, 0.4, 0], months_a_row * rng.uniform(1, 6, n)
    flags[:, 1] |= rng.random(n) < 0.2 * centre  # who holds it differs between centres
    cost = e * (5.0 + cell + flags @ [30.0, 80.0, 0] + 20 * centre + rng.normal(0, 2, n))
    x = np.hstack([np.eye(N_CELLS)[cell], flags])
    months, sums = np.bincount(centre, e, K), np.array([(e[:, None] * x)[centre == k].sum(axis=0) for k in range(K)])
    of = normal_equations(cell, flags, e, cost)
    cells, add_ons = least_squares.within_centres(of.xtx[0], of.xty[0], sums, np.bincount(centre, cost, K), months)
    dummies = np.hstack([x[:, :4], flags[:, :2], np.eye(K - 1)[centre][:, 1:]]) * np.sqrt(e)[:, None]
    beta = np.linalg.lstsq(dummies, cost / np.sqrt(e), rcond=None)[0]
    np.testing.assert_allclose(add_ons, [*beta[4:6], np.nan], rtol=1e-9)
    np.testing.assert_allclose(np.diff(cells[:4]), np.diff(beta[:4]), rtol=1e-9)
    assert np.isnan(cells[4:]).all()
    assert e @ (cells[cell] + flags[:, :2] @ add_ons[:2]) == pytest.approx(cost.sum(), rel=1e-12)


def test_slopes_on_several_columns_are_those_of_the_plain_design():
    rng = np.random.default_rng(6)
    cell, columns = rng.integers(0, N_CELLS, 300), rng.normal(size=(300, 3))
    e, cost = rng.uniform(1, 6, 300), rng.random(300)
    x = np.hstack([np.eye(N_CELLS)[cell], columns])
    found = least_squares.slope_equations(cell, columns, e, cost)
    np.testing.assert_allclose(found.xtx[0], x.T @ (e[:, None] * x), atol=1e-12)
    np.testing.assert_allclose(found.xty[0], x.T @ cost, atol=1e-12)


def test_a_bound_below_one_binds_and_a_column_of_one_month_counts():
    found = least_squares.constrained_solution(np.eye(1), np.zeros(1), np.eye(1), np.array([0.5]), np.array([False]))
    assert found == pytest.approx([0.5])
    assert least_squares.least_squares(np.diag([1.0, 0.0]), np.array([3.0, 0.0])) == pytest.approx([3, np.nan],
                                                                                                    nan_ok=True)
