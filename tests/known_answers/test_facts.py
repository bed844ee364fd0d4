"""The packaged tables: complete, checked, and equal to the reference they were taken from."""

import csv
from datetime import date
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from lakemedelsmodell import facts
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import tables

TABLES = tuple(tables.ROW_MODELS)


def test_every_table_is_described_and_every_description_has_a_table():
    files = [file.name for file in resources.files(facts).iterdir()]
    packaged = {name.removesuffix(".csv") for name in files if name.endswith(".csv")}
    packaged.remove("reference_amounts")  # a result of the reference run, for `explain`; no fact
    assert packaged == set(tables.about()) == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_every_row_has_a_date_a_source_and_a_confidence(table):
    frame = facts.read(table)
    assert frame["valid_from"].map(type).eq(date).all()
    sources = frame.filter(regex="^source")
    confidences = frame.filter(regex="confidence")
    for columns in (sources, confidences):
        assert columns.shape[1] >= 1
        assert columns.notna().all(axis=None)


@pytest.mark.parametrize("table", TABLES)
def test_every_number_has_a_unit(table):
    frame = facts.read(table)
    numbers = frame.select_dtypes("number").columns
    of_profiles = {f"{profile}_{cell}": profile for profile in tables.PROFILES for cell in tables.PROFILE_CELLS}
    assert {of_profiles.get(column, column) for column in numbers} == set(facts.about(table).units)


@pytest.mark.parametrize("table", TABLES)
def test_a_reader_gives_a_frame_of_its_own(table):
    mine = facts.read(table)
    mine.iloc[:, 0] = None
    assert facts.read(table).iloc[:, 0].notna().all()


REFERENCE = {
    "age_sex_table": "age_sex_table.csv", "listed_population": "population_skane.csv", "drug_groups": "conditions.csv",
    "substances": "substances.csv", "diseases": "diseases.csv", "disease_drugs": "disease_drugs.csv",
    "cost_calibration": "cost_calibration.csv",
}
RENAMED = {"condition_id": "drug_group", "disease_id": "disease", "population_20241231": "population",
           "listed_est": "listed", "scb_10yr_band_total_exact": "scb_10yr_band_total"}


@pytest.mark.parametrize("table", REFERENCE)
def test_values_are_those_of_the_reference(table, shared):
    reference = pd.read_csv(shared / "reference" / REFERENCE[table]).rename(columns=RENAMED)
    reference = reference[~reference.iloc[:, 0].astype(str).str.startswith("_")].reset_index(drop=True)
    packaged = facts.read(table)
    assert len(packaged) == len(reference)
    numbers = reference.select_dtypes(["number", "bool"]).columns
    assert set(numbers) <= set(packaged.columns)
    for column in packaged.columns.intersection(reference.columns):
        if column in numbers:
            ours, theirs = packaged[column].astype(float), reference[column].astype(float)
            assert np.array_equal(ours, theirs, equal_nan=True), column
        elif not column.startswith(("source", "confidence", "atc_")):
            assert packaged[column].fillna("").tolist() == reference[column].fillna("").tolist(), column


def test_age_factors_are_those_of_the_reference(shared):
    with (shared / "reference" / "cost_calibration.csv").open(encoding="utf-8") as file:
        knots = {float(row["condition_id"].removeprefix("_age_factor_")): float(row["new_cost"])
                 for row in csv.DictReader(file) if row["condition_id"].startswith("_")}
    packaged = facts.age_cost_factors()
    assert dict(zip(packaged["age"], packaged["factor"], strict=True)) == knots


def test_tables_speak_of_the_same_drug_groups_and_diseases():
    groups = {g.drug_group for g in facts.drug_groups()}
    assert len(groups) == 44
    assert set(facts.substances()["drug_group"]) == groups == set(facts.cost_calibration()["drug_group"])
    assert set(facts.disease_drugs()["drug_group"]) == groups
    assert set(facts.disease_drugs()["disease"]) == {*facts.diseases()["disease"], "background"}
    assert {m.condition for m in facts.markers()} < groups


def test_no_drug_group_has_one_disease_as_its_only_cause():
    causes = facts.disease_drugs().groupby("drug_group")["disease"].nunique()
    assert (causes >= 2).all()


def test_shares_within_a_drug_group_sum_to_one():
    shares = facts.substances().groupby("drug_group")[["share_of_ddd_in_group", "share_of_fills_in_group"]].sum()
    assert np.allclose(shares, 1, atol=1e-3)


def test_every_code_lies_in_its_own_drug_group():
    groups = {g.drug_group: g for g in facts.drug_groups()}
    for code in facts.substances().itertuples():
        group = groups[code.drug_group]
        if group.atc_include:
            assert code.atc.startswith(group.atc_include), code.atc
        assert not (group.atc_exclude and code.atc.startswith(group.atc_exclude)), code.atc


def test_a_profile_is_sex_by_ten_year_band():
    frame = facts.diseases()
    prevalence = facts.profile(frame, "prev_per_1000")
    assert prevalence.shape == (45, 2, 10)
    assert prevalence[3, 1, 6] == frame.loc[3, "prev_per_1000_M_60-69"]
    background = facts.profile(facts.disease_drugs(), "bg_per_1000")
    assert np.isnan(background).all(axis=(1, 2)).sum() == 224  # no background stated is unknown, not 0


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="cost_responsability"):
        tables.checked_rows(tables.CostResponsibility, facts.about("cost_responsibility"),
                            [{"valid_from": "2025-01-01", "cost_responsability": "0.8"}])
    with pytest.raises(ValidationError, match="colour"):
        tables.About.model_validate({"title": "t", "units": {}, "colour": "red"})


@pytest.mark.parametrize("line", [
    {"valid_from": "2025-01-01", "cost_responsibility": "1.2"},
    {"valid_from": "2025-02-30", "cost_responsibility": "0.8"},
    {"valid_from": "2025-01-01", "cost_responsibility": None},
    {"cost_responsibility": "0.8"},
])
def test_an_impossible_value_is_refused(line):
    with pytest.raises(ValidationError):
        tables.checked_rows(tables.CostResponsibility, facts.about("cost_responsibility"), [line])


def test_a_row_without_source_is_refused():
    table = tables.About(title="t", units={}, confidence="known")
    with pytest.raises(ValidationError, match="source"):
        tables.checked_rows(tables.CostResponsibility, table,
                            [{"valid_from": "2025-01-01", "cost_responsibility": "0.8"}])


def test_a_source_given_twice_is_refused():
    with pytest.raises(ValueError, match="both in sources.toml and in the table"):
        tables.checked_rows(tables.CostResponsibility, facts.about("cost_responsibility"), [{"source": "elsewhere"}])


def test_a_profile_with_a_missing_cell_is_refused():
    with pytest.raises(ValueError, match="prev_per_1000"):
        tables.fold_profiles({f"prev_per_1000_{cell}": "1" for cell in tables.PROFILE_CELLS[:-1]})


def test_cost_responsibility_is_80_percent_to_2025_and_70_percent_from_2026():
    assert facts.cost_responsibility(date(2025, 12, 31)) == 0.80
    assert facts.cost_responsibility(date(2026, 1, 1)) == 0.70
    assert facts.cost_responsibility(date(2024, 7, 1)) == 0.80


def test_a_day_is_paid_by_its_own_years_table_or_the_nearest():
    assert [facts.published_year(date(year, 6, 1)) for year in (2024, 2025, 2026, 2027)] == [2025, 2025, 2026, 2026]


def test_a_year_without_a_table_is_a_users_mistake():
    with pytest.raises(UserError, match="2025, 2026") as e:
        facts.age_sex_table(2024)
    assert e.value.exit_code == 2
