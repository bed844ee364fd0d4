"""The proposal with no amount below 0: non-negative least squares over ages and conditions together."""

from __future__ import annotations

import numpy as np
import pytest

from cohorts import cohort, random_cohort
from lakemedelsmodell.models import ChronicConditions, ChronicNonnegative


@pytest.mark.parametrize("seed", range(4))
def test_kuhn_tucker_at_every_amount(seed: int):
    people = random_cohort(seed, n=900)
    model = ChronicNonnegative()
    sums = model.sums(people)
    xtx, xty = sums.xtx[0], sums.xty[0]
    table = model.fit(people, 1.0)
    used = np.diag(xtx) > 0
    beta = np.concatenate([model.solve(xtx, xty)[0], table.add_ons])
    gradient = (xtx @ np.nan_to_num(beta) - xty)[used]

    assert (beta[used] >= 0).all() and (table.cells >= 0).all()
    assert gradient[beta[used] > 0] == pytest.approx(0, abs=1e-6 * np.abs(xty).max())
    assert (gradient >= -1e-6 * np.abs(xty).max()).all()


def test_where_no_amount_would_be_below_0_it_is_the_proposal():
    rng = np.random.default_rng(5)
    flags = rng.random((600, 3)) < 0.3
    people = cohort(np.arange(600) % 5, 6 * (50 + flags @ [80.0, 40.0, 120.0]), flags=flags, band=np.arange(600) % 21)

    plain, bounded = (model.fit(people, 0.7) for model in (ChronicConditions(), ChronicNonnegative()))

    assert bounded.cells == pytest.approx(plain.cells, nan_ok=True)
    assert bounded.add_ons == pytest.approx(plain.add_ons)


def test_an_age_that_add_ons_overpay_gets_0_and_no_less():
    # In band 0 those with the condition cost nothing; elsewhere it costs 200: the free fit pays band 0 less than 0.
    band = np.repeat([0, 5], 200)
    sick = np.tile([True, False], 200)
    cost = 6.0 * np.where((band == 5) & sick, 200.0, 0.0)
    people = cohort(0, cost, flags=sick, band=band)

    plain, bounded = (model.fit(people, 1.0) for model in (ChronicConditions(), ChronicNonnegative()))

    assert plain.cells[0, 1] < 0
    assert bounded.cells[0, 1] == 0
    assert bounded.add_ons[0] > 0


def test_a_condition_nobody_has_is_unset():
    people = cohort(0, [60.0, 90.0], flags=[[False], [False]])

    table = ChronicNonnegative().fit(people, 0.7)

    assert np.isnan(table.add_ons[0])
    assert table.cells[12, 1] == pytest.approx(0.7 * 150 / 12)
