"""The official Swiss list and hierarchy, written as a list of one's own, is flagged as its rules say."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

import swiss
from lakemedelsmodell.conditions import ConditionSet, read_condition_list
from lakemedelsmodell.data.flags import read_flags
from lakemedelsmodell.data.tables import HalfYear

YEAR = (date(2025, 1, 1), date(2026, 1, 1))


@pytest.fixture(scope="module")
def swiss_list(shared, tmp_path_factory) -> ConditionSet:
    path = tmp_path_factory.mktemp("swiss") / "swiss_pcg_2022.csv"
    swiss.write(shared, path)
    return read_condition_list(path)


def test_the_list_is_read_whole(swiss_list, shared):
    groups, _ = swiss.read(shared)
    assert len(groups) == 601
    assert set(swiss_list.names) == {row["pcg"] for row in groups} - {"hyp"} | {"DM2hyp"}
    assert sum(len(c.include) for c in swiss_list.conditions) == 601
    assert swiss_list["KRK"].min_packages == 3
    assert swiss_list["KRK"].min_ddd is None
    assert swiss_list["DM2hyp"].requires == ("DM2", "hyp")
    assert set(swiss_list["HCH"].yields_to) == {"CAR", "DM1", "DM2", "DM2hyp"}


def half_year_of(persons: list[dict[str, tuple[float, float]]]) -> HalfYear:
    """Everyone at one centre; person number i is dispensed ``persons[i]``: ATC → (DDD, packages)."""
    everyone = pd.DataFrame({"person_id": range(len(persons))})
    rows = [(i, atc, ddd, packages) for i, person in enumerate(persons) for atc, (ddd, packages) in person.items()]
    return HalfYear.from_frames(
        centres=pd.DataFrame({"centre_id": ["A"], "name": ["A"]}),
        persons=everyone.assign(sex="K", birth_month="1960-01"),
        listings=everyone.assign(centre_id="A", start_date=date(2024, 1, 1), end_date=pd.Series(dtype="object")),
        dispensings=pd.DataFrame(rows, columns=["person_id", "atc", "ddd", "packages"]).assign(
            date=date(2025, 3, 1), cost=100.0),
    )


def flags_of(persons: list[dict[str, tuple[float, float]]], conditions: ConditionSet) -> list[set[str]]:
    flags = read_flags(half_year_of(persons), YEAR, conditions, "listed").sort_values("person_id")
    return [{name for name in conditions.names if row[name]} for row in flags.to_dict("records")]


def test_hypertension_never_counts_alone(swiss_list):
    hypertension, oral_diabetes = swiss_list["hyp"].include[0], swiss_list["DM2"].include[0]
    insulin, statin = swiss_list["DM1"].include[0], swiss_list["HCH"].include[0]
    assert flags_of([
        {hypertension: (180, 4)},
        {hypertension: (180, 4), oral_diabetes: (180, 4)},
        {hypertension: (179, 4), oral_diabetes: (180, 4)},
        {hypertension: (180, 4), oral_diabetes: (180, 4), insulin: (180, 4), statin: (180, 4)},
        {statin: (180, 4)},
    ], swiss_list) == [set(), {"DM2hyp"}, {"DM2"}, {"DM1"}, {"HCH"}]


def test_thousand_persons_are_flagged_as_the_rules_say(swiss_list, shared):
    groups, hierarchy = swiss.read(shared)
    ranked = sorted({pcg for rule in hierarchy for pcg in (rule["if_has"], rule["and_has"])} - {"DM2hyp"})
    by_group = {pcg: [row["atc"] for row in groups if row["pcg"] == pcg] for pcg in {row["pcg"] for row in groups}}
    rng = np.random.default_rng(2022)
    persons = []
    for _ in range(1000):
        held = rng.choice(ranked, size=rng.integers(1, 6), replace=False).tolist()
        held += rng.choice(sorted(by_group), size=2).tolist()
        codes = {str(rng.choice(by_group[pcg])) for pcg in held for _ in range(2)}
        persons.append({atc: (float(rng.choice([60, 89.5, 90, 120, 180])), float(rng.integers(1, 4)))
                        for atc in sorted(codes)})
    expected = [swiss.groups_of(groups, hierarchy, person) for person in persons]
    assert flags_of(persons, swiss_list) == expected
    assert {name for held in expected for name in held} >= {"DM2hyp", "DM1", "KRK", "AIK", "COP", "CAR"}
