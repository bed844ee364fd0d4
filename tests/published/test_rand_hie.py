"""RAND Health Insurance Experiment: drug cost at six sites, each predicted by the other five.

Leave-site-out R² about 0.09 for age × sex and about 0.12 with the chronic index in steps (the data: Manning and others,
American Economic Review 1987; 20 190 person-years as in the R package sampleSelection).
"""

import pytest

import real_data
from lakemedelsmodell.data.cohort_file import read_cohort
from lakemedelsmodell.evaluation import evaluate_cohort
from lakemedelsmodell.models import ChronicConditions


@pytest.fixture(scope="module", params=["csv", "parquet"])
def cohort(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("hie") / f"hie.{request.param}"
    frame = real_data.rand_hie()
    frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path)
    return read_cohort(path)


def test_a_chronic_index_adds_to_age_and_sex_at_sites_not_seen(cohort):
    found = evaluate_cohort(cohort)
    fits = found.comparison.fits
    assert fits["age_sex"].r2 == pytest.approx(0.09, abs=0.01)
    assert fits["chronic"].r2 == pytest.approx(0.12, abs=0.01)
    assert fits["chronic"].cpm > fits["age_sex"].cpm
    assert found.results["totals"]["persons"] == 20_190
    assert any("6 centres" in warning for warning in found.results["warnings"])


def test_sicker_persons_cost_more_step_by_step(cohort):
    assert (ChronicConditions().fit(cohort, 1.0).add_ons > 0).all()
