"""What a centre's reimbursement is made of: it sums to the öre, and no row is about fewer than five persons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_LABELS, SEXES
from lakemedelsmodell.measures.contributions import COLUMNS, contributions
from lakemedelsmodell.measures.disclosure import FEWEST_AMOUNTS
from lakemedelsmodell.settlement import settle


def taken_apart(people, amounts, alpha=0.7):
    settled = settle(amounts, people, alpha)
    return settled, contributions(settled, amounts, people)


def amounts_of(seed: int, n_flags: int = 4, **of_table) -> AmountTable:
    rng = np.random.default_rng(seed)
    made = table(rng.uniform(-5, 200, (21, 2)), rng.uniform(0, 300, n_flags))
    return replace(made, **of_table)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pool", [None, 500.0])
def test_the_rows_of_a_centre_sum_to_its_reimbursement_to_the_ore(seed: int, pool: float | None):
    people = random_cohort(seed, n=900, weighted=seed % 2 == 1)
    settled, found = taken_apart(people, amounts_of(seed, pool_threshold=pool))

    assert tuple(found.columns) == COLUMNS
    ore = (found["sek"] * 100).round().astype(int).groupby(found["centre_id"]).sum()
    assert (ore.to_numpy() == settled.reimbursement_ore).all()


@pytest.mark.parametrize("seed", range(4))
def test_an_amount_brings_phi_times_the_amount_times_the_months_of_those_who_hold_it(seed: int):
    people = random_cohort(seed, n=3000, n_centres=3)
    amounts = amounts_of(seed)
    settled, found = taken_apart(people, amounts)

    rows = found[found["kind"] == "condition"]
    assert len(rows)
    for row in rows.itertuples():
        c, k = people.conditions.index(row.name), settled.centre_ids.tolist().index(row.centre_id)
        months = people.months[(people.centre == k) & people.flags["dispensed"][:, c]].sum()
        assert row.listed_months == months
        assert row.sek == pytest.approx(settled.phi * amounts.add_ons[c] * months, abs=0.011)


@pytest.mark.parametrize("seed", range(4))
def test_no_row_is_about_fewer_than_five_persons_and_few_cannot_be_solved(seed: int):
    people = random_cohort(seed, n=700, n_centres=2)
    settled, found = taken_apart(people, amounts_of(seed))

    def held(row) -> np.ndarray:
        here = people.centre == settled.centre_ids.tolist().index(row.centre_id)
        if row.kind == "condition":
            return here & people.flags["dispensed"][:, people.conditions.index(row.name)]
        return here & (people.band == BAND_LABELS.index(row.name)) & (people.sex == SEXES.index(row.sex))

    told = found[found["kind"] != "few"]
    assert all(len(np.unique(people.person[held(row)])) >= 5 for row in told.itertuples())
    for centre, rows in found.groupby("centre_id"):
        k = settled.centre_ids.tolist().index(centre)
        there = len(np.unique(people.cell[people.centre == k])) + people.flags["dispensed"][people.centre == k].any(
            axis=0).sum()
        merged = there - (rows["kind"] != "few").sum()
        assert (merged > 0) == (rows["kind"] == "few").any()
        assert merged == 0 or merged >= FEWEST_AMOUNTS
        rest = people.centre == k
        for row in rows[rows["kind"] == "age_sex"].itertuples():
            rest &= ~held(row)
        assert merged == 0 or len(np.unique(people.person[rest])) >= 5


def test_the_same_ages_are_merged_under_every_model_so_that_none_tells_what_another_hides():
    people = random_cohort(3, n=700, n_centres=2)
    shown = [set(map(tuple, found[found["kind"] == "age_sex"][["centre_id", "name", "sex"]].to_numpy()))
             for found in (taken_apart(people, amounts)[1] for amounts in (table(90.0), amounts_of(1)))]

    assert shown[0] == shown[1]


def test_one_small_age_is_merged_with_four_more():
    sizes = [3, 20, 30, 40, 50, 60, 70]
    people = cohort(0, np.full(sum(sizes), 100.0), band=np.repeat(np.arange(7), sizes))
    _, found = taken_apart(people, table(np.arange(42.0).reshape(21, 2) + 1))

    assert len(found) == 2 + 1
    assert set(found["name"]) == {BAND_LABELS[5], BAND_LABELS[6], "few"}
    assert FEWEST_AMOUNTS == 5


def test_three_persons_who_hold_six_conditions_are_merged_with_others():
    flags = np.zeros((100, 8), dtype=bool)
    flags[:3, :6] = True
    flags[10:30, 6] = True
    flags[10:40, 7] = True
    _, found = taken_apart(cohort(0, np.full(100, 100.0), flags=flags), table(50.0, np.arange(8.0) + 1))

    assert found["name"].tolist() == [BAND_LABELS[12], "condition7", "few"]


def test_a_pool_that_pays_for_a_handful_is_merged():
    costly = np.where(np.arange(60) < 3, 9000.0, 100.0)
    people = cohort(0, costly, band=np.arange(60) % 6)
    _, found = taken_apart(people, replace(table(50.0), pool_threshold=5000.0))

    assert "pool" not in set(found["kind"])
    assert (found["kind"] == "few").sum() == 1
    assert found["listed_months"][found["kind"] == "few"].isna().all()


def test_a_pool_that_pays_for_many_has_a_row_of_its_own():
    costly = np.where(np.arange(60) < 20, 9000.0, 100.0)
    people, amounts = cohort(0, costly), replace(table(50.0), pool_threshold=5000.0)
    settled, found = taken_apart(people, amounts)

    assert found.set_index("kind")["sek"]["pool"] == pytest.approx(0.7 * 20 * 4000, abs=0.011)
    assert found["kind"].tolist() == ["age_sex", "pool"]


def test_what_is_no_sum_over_amounts_is_refused():
    people = random_cohort(1)
    highest = amounts_of(1, kind="highest")

    with pytest.raises(UserError, match="not a sum"):
        contributions(settle(highest, people, 0.7), highest, people)
