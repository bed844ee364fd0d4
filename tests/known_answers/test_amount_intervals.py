"""Intervals of the amounts: by hand, against a bootstrap of centres, and how often they hold the truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from cohorts import cohort
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.measures.amount_intervals import amount_intervals
from lakemedelsmodell.models import AgeSex, ChronicConditions
from lakemedelsmodell.models.base import LeastSquares
from lakemedelsmodell.models.pooled import ChronicDefended

ALPHA, CENTRES = 0.7, 60
CELLS, ADD_ONS = {12: 60.0, 13: 40.0, 30: 200.0}, np.array([150.0, 25.0])
"""Cost a month that the drawn cohorts have in truth, by cell and by condition."""
SET = [*CELLS, 42, 43]
"""Rows of the amounts they set."""


def drawn(rng: np.random.Generator, at_centre: float = 12.0) -> Cohort:
    """Persons of three cells and two conditions at centres that each have their own level of cost."""
    n = rng.integers(15, 60, CENTRES)
    centre = np.repeat(np.arange(CENTRES), n)
    cell = rng.choice(list(CELLS), n.sum(), p=[0.5, 0.3, 0.2])
    flags = rng.random((n.sum(), 2)) < np.where(cell == 30, 0.4, 0.15)[:, None]
    months = rng.integers(1, 7, n.sum()).astype(float)
    per_month = np.array([CELLS[c] for c in cell]) + flags @ ADD_ONS + rng.normal(0, at_centre, CENTRES)[centre]
    noise = rng.normal(0, 80, n.sum()) * np.sqrt(months) * (1 + flags.any(axis=1))
    return cohort(centre, months * per_month + noise, months=months, band=cell // 2, sex=cell % 2, flags=flags)


def intervals(data: Cohort, model: LeastSquares | None = None, phi: float = 1.0, rounded: bool = False):
    exact = (model or ChronicConditions()).fit(data, ALPHA)
    return amount_intervals(exact.rounded() if rounded else exact, exact, data, data, ALPHA, phi)


def test_by_hand_for_means():
    """Eleven centres of one person each: the mean cost, its standard error over persons, Student's t with 10."""
    cost = 6 * np.arange(1.0, 12.0)
    found = intervals(cohort(np.arange(11), cost), AgeSex()).loc[25]
    error = ALPHA * np.std(cost / 6, ddof=1) / np.sqrt(11)
    assert found["sek_per_month"] == pytest.approx(ALPHA * 6)
    assert found["standard_error"] == pytest.approx(error)
    assert found["ci_high"] - found["sek_per_month"] == pytest.approx(student.ppf(0.975, 10) * error)
    # The one amount closed to a budget is the budget, whatever was estimated.
    assert found["closed_error"] == pytest.approx(0, abs=1e-9)


def test_few_centres_take_rows_as_independent():
    cost = 6 * np.arange(1.0, 12.0)
    found = intervals(cohort(np.arange(11) % 3, cost), AgeSex()).loc[25]
    assert found["standard_error"] == pytest.approx(ALPHA * np.std(cost / 6, ddof=1) / np.sqrt(11))


def test_whole_kronor_add_the_variance_of_rounding():
    data = drawn(np.random.default_rng(5))
    exact, whole = (intervals(data, phi=0.9, rounded=rounded).loc[SET] for rounded in (False, True))
    np.testing.assert_allclose(whole["standard_error"] ** 2 - exact["standard_error"] ** 2, 1 / 12)
    np.testing.assert_array_equal(whole["sek_per_month"], np.round(exact["sek_per_month"]))
    np.testing.assert_allclose(whole["closed_sek"], 0.9 * whole["sek_per_month"])


def test_what_was_not_estimated_has_no_interval():
    """An add-on held at a bound, at 0 or above, a cell of nobody and one that a single centre has set."""
    data = drawn(np.random.default_rng(6))
    band = data.band.copy()
    band[np.flatnonzero(data.centre == 3)[:4]] = 20
    data = replace(data, band=band, cost=data.cost - 120 * data.months * data.flags["dispensed"][:, 1])
    assert ChronicConditions().fit(data, ALPHA).add_ons[1] == 0
    found = amount_intervals(*[ChronicConditions().fit(data, ALPHA)] * 2, data, data, ALPHA, 1.0)
    known = found["standard_error"].notna()
    assert set(found.index[known]) == {12, 13, 30, 42}
    assert found.loc[[40, 41], "sek_per_month"].notna().any()
    model = ChronicDefended(most={"condition0": 50.0}, pool_threshold=1500.0)
    fitted = model.fit(data, ALPHA)
    found = amount_intervals(fitted, fitted, data, data, ALPHA, 1.0)
    assert found.loc[42, "sek_per_month"] == pytest.approx(ALPHA * 50)
    assert found["standard_error"].notna().sum() == 3


def test_a_bootstrap_of_centres_agrees():
    """Centres drawn with replacement, the model fitted and closed to the budget anew: the same standard errors."""
    rng = np.random.default_rng(7)
    data = drawn(rng)
    totals = data.totals("dispensed")
    months = np.hstack([totals.months_by_cell, totals.flagged_months]).sum(axis=0)[SET]
    budget = 0.95 * ALPHA * data.cost.sum()
    rows = [np.flatnonzero(data.centre == k) for k in range(CENTRES)]
    again = []
    for _ in range(400):
        exact = ChronicConditions().fit(data.rows(np.concatenate([rows[k] for k in rng.integers(0, CENTRES, CENTRES)])),
                                        ALPHA)
        b = np.concatenate([exact.cells.reshape(-1), exact.add_ons])[SET]
        again.append([b, budget / (months @ b) * b])
    spread = np.std(again, axis=0, ddof=1)
    phi = budget / (months @ intervals(data).loc[SET, "sek_per_month"])
    found = intervals(data, phi=phi).loc[SET]
    # 4 Monte-Carlo standard errors of a standard deviation of 400 are 14 %.
    np.testing.assert_allclose(found["standard_error"], spread[0], rtol=0.15)
    np.testing.assert_allclose(found["closed_error"], spread[1], rtol=0.15)
    assert (found["closed_error"] < 0.97 * found["standard_error"]).any()


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, draws = np.random.default_rng(8), 200
    truth = ALPHA * np.array([*CELLS.values(), *ADD_ONS])
    held = []
    for _ in range(draws):
        data = drawn(rng)
        totals = data.totals("dispensed")
        months = np.hstack([totals.months_by_cell, totals.flagged_months]).sum(axis=0)[SET]
        budget = 0.9 * (months @ truth)
        estimate = intervals(data).loc[SET, "sek_per_month"].to_numpy()
        found = intervals(data, phi=budget / (months @ estimate)).loc[SET]
        held.append([(found["ci_low"] <= truth) & (truth <= found["ci_high"]),
                     (found["closed_low"] <= 0.9 * truth) & (0.9 * truth <= found["closed_high"])])
    share = np.mean(held, axis=0)
    assert np.abs(share - 0.95).max() <= 4 * np.sqrt(0.95 * 0.05 / draws)
    assert abs(share.mean() - 0.95) <= 0.025
