"""English practices 2018 (England, NHS Digital and NHSBSA; recipe and sources in england.py), from centre totals.

Measured beforehand on the same data, cross-validated: SD of (predicted − actual) as a percentage of the mean.
"""

import pytest

from england import practices
from lakemedelsmodell.data.totals_file import read_totals
from lakemedelsmodell.measures.totals import TotalsComparison, compare_totals

SD_PER_CENT = {"flat": 31.7, "index_astro_pu": 26.3, "age_sex": 22.2, "chronic": 20.1, "chronic_covariates": 19.2}


@pytest.fixture(scope="module")
def england(shared, tmp_path_factory) -> TotalsComparison:
    file = tmp_path_factory.mktemp("england") / "totals.parquet"
    practices(shared).to_parquet(file, index=False)
    return compare_totals(read_totals(file), 0.7, resamples=200)


def test_the_practices(england):
    assert len(england.totals.months) == 5778
    assert england.totals.cost.sum() / england.totals.months.sum() * 12 == pytest.approx(18.6, abs=0.5)  # items a year


@pytest.mark.parametrize("model", SD_PER_CENT)
def test_spread_as_measured_within_one_point(england, model):
    found = england.comparison.spreads[model]
    assert 100 * found.sd / found.own_cost == pytest.approx(SD_PER_CENT[model], abs=1)


def test_the_order_of_the_models(england):
    """An old national index flatters whatever it is compared with: most of its lead is a re-estimated table's."""
    sd = {model: s.sd for model, s in england.comparison.spreads.items()}
    assert sd["flat"] > sd["index_astro_pu"] > sd["age_sex"] > sd["chronic"] > sd["chronic_covariates"]
    ratio = {(c.model, c.against): c for c in england.comparison.contrasts}
    assert ratio["chronic", "age_sex"].ci_high < 0 and ratio["chronic_covariates", "age_sex_covariates"].ci_high < 0
    assert ratio["chronic", "index_astro_pu"].sd_ratio < ratio["chronic", "age_sex"].sd_ratio - 0.1


def test_deprivation_alone_does_as_much_as_six_registers(england):
    """The competitor a proposal must beat."""
    sd = {model: s.sd for model, s in england.comparison.spreads.items()}
    assert sd["age_sex_covariates"] == pytest.approx(sd["chronic"], rel=0.02)


def test_amounts_are_not_for_paying(england):
    """5778 practices cannot tell forty neighbouring ages apart: amounts below 0 that no one may publish."""
    age_sex = england.amounts_frame().query("model == 'age_sex' and kind == 'age_sex'")
    assert len(age_sex) == 42  # 95 and older stands for two bands
    assert 5 < (age_sex["sek_per_month"] < 0).sum() < 25
    assert any(w.startswith("age_sex: ") and "below 0" in w for w in england.warnings)
