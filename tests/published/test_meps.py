"""US Medical Expenditure Panel Survey 2012–2015: the baselines of the domain notes, measured on these very files.

Domain notes, "Real data to hold results against", cross-validated and weighted: age × sex R² 0.026 and CPM 0.107, with
fourteen conditions 0.071 and 0.206; capped at the 99th percentile 0.099 and 0.128, 0.235 and 0.242.
"""

from dataclasses import replace

import numpy as np
import pytest

import real_data
from lakemedelsmodell.data.cohort_file import read_cohort
from lakemedelsmodell.evaluation import evaluate_cohort
from lakemedelsmodell.measures import compare
from lakemedelsmodell.models import (
    AgeSex,
    Boosting,
    ChronicConditions,
    Count,
    Flat,
    HighestOnly,
    LastCost,
    out_of_fold,
)

BASELINES = {
    None: {"age_sex": (0.026, 0.107), "chronic": (0.071, 0.206)},
    0.99: {"age_sex": (0.099, 0.128), "chronic": (0.235, 0.242)},
}


@pytest.fixture(scope="module", params=[None, 0.99], ids=["as spent", "capped"])
def case(request, shared, tmp_path_factory):
    """The cohort read from a file, and what it is to reproduce. The cap is a cost to fit on; what is settled is not."""
    frame = real_data.meps(shared)
    if request.param:
        frame["fit_cost"] = real_data.meps(shared, capped_at=request.param)["cost"]
    path = tmp_path_factory.mktemp("meps") / "meps.parquet"
    frame.to_parquet(path)
    return read_cohort(path), BASELINES[request.param]


def r2_error(cohort, predicted, resamples=100):
    """Bootstrap standard error of R² over person-years, the predictions held fixed."""
    rng = np.random.default_rng(1)
    cost = cohort.cost if cohort.fit_cost is None else cohort.fit_cost
    e, y = cohort.exposure, cost / cohort.months
    squared, deviation = e * (y - predicted) ** 2, e * (y - np.average(y, weights=e)) ** 2
    draws = (rng.integers(0, len(y), len(y)) for _ in range(resamples))
    return np.std([1 - squared[i].sum() / deviation[i].sum() for i in draws])


def test_age_sex_and_fourteen_conditions_explain_what_they_did(case):
    cohort, baselines = case
    found = evaluate_cohort(cohort).comparison
    for model, (r2, cpm) in baselines.items():
        payer = out_of_fold({"age_sex": AgeSex(), "chronic": ChronicConditions()}[model], cohort, 0.7)
        error = r2_error(cohort, payer.per_row / 0.7)
        # The baseline is given to three decimals, from folds of its own.
        assert found.fits[model].r2 == pytest.approx(r2, abs=1.96 * error + 0.0005), model
        assert found.fits[model].r2 == pytest.approx(r2, abs=0.005), model
        assert found.fits[model].cpm == pytest.approx(cpm, abs=0.002), model


def test_the_flat_model_explains_nothing_out_of_fold(case):
    cohort, _ = case
    assert -0.001 < evaluate_cohort(cohort).comparison.fits["flat"].r2 <= 0
    assert out_of_fold(Flat(), cohort, 1.0).folds.max() == 9


def test_diabetes_costs_most_and_hardly_any_condition_nothing(case):
    """As spent, infarction beside coronary disease and angina adds nothing and is held at 0."""
    cohort, _ = case
    add_ons = dict(zip(cohort.conditions, ChronicConditions().fit(cohort, 1.0).add_ons, strict=True))
    assert len(add_ons) == 14
    assert max(add_ons, key=add_ons.__getitem__) == "diab"
    assert {name for name, sek in add_ons.items() if sek == 0} <= {"mi"}


def test_next_year_conditions_tell_as_much_and_last_year_s_spending_more(shared, tmp_path):
    """Prospective and capped, every model that the columns allow. The order is Hsu's (2009, exhibit 3): age and sex,
    conditions, last year's own cost; a count of conditions and boosted trees lie by the conditions."""
    frame = real_data.next_year(real_data.meps(shared, capped_at=0.99))
    frame.drop(columns="before").to_parquet(tmp_path / "meps.parquet")
    cohort = read_cohort(tmp_path / "meps.parquet")
    known = replace(cohort, prior_cost=frame.sort_values("person_id")["before"].to_numpy() / 12)
    payers = {m.name: out_of_fold(m, cohort, 1.0) for m in (AgeSex(), Count(), HighestOnly(), ChronicConditions())}
    payers |= {"boosting": Boosting().fit(cohort, 1.0, cohort), "last_cost": LastCost().fit(known, 1.0, known)}
    r2 = {name: fit.r2 for name, fit in compare(payers, cohort, 1.0, contrasts=[]).fits.items()}
    assert r2["age_sex"] < min(r2["count"], r2["highest_only"]) < r2["chronic"] < r2["last_cost"]
    assert r2["chronic"] == pytest.approx(BASELINES[0.99]["chronic"][0], abs=0.02)
    assert r2["boosting"] == pytest.approx(r2["chronic"], abs=0.02)
    assert r2["count"] - r2["age_sex"] > 0.5 * (r2["chronic"] - r2["age_sex"])
