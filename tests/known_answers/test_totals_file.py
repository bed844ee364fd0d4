"""A file of centre totals: what is read, and what is said of one that is wrong."""

import numpy as np
import pandas as pd
import pytest

from lakemedelsmodell.data.totals_file import Totals, read_totals
from lakemedelsmodell.errors import DataError, UserError

GOOD = pd.DataFrame({
    "centre_id": ["v2", "v1", "v3"], "name": ["Öst", "Väst", None], "months": [1000.5, 2000.0, 0.0],
    "cost": [50000.25, 70000.0, 0.0], "age_sex_K_0_49": [400.5, 1500.0, 0.0], "age_sex_M_50_up": [600.0, 500.0, 0.0],
    "flag_diabetes": [50.0, 100.0, 0.0], "covariate_cni": [1.25, -0.5, 1.0], "comment": ["a", "b", "c"]})


def write(frame: pd.DataFrame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif path.stem == "svensk":
        frame.to_csv(path, index=False, sep=";", decimal=",", encoding="cp1252")
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["totals.csv", "svensk.csv", "totals.parquet", "totals.xlsx"])
def test_every_form_of_file_says_the_same(tmp_path, name):
    totals = read_totals(write(GOOD, tmp_path / name))
    assert totals.centre_ids.tolist() == ["v1", "v2"]
    assert totals.centres["name"].tolist() == ["Väst", "Öst"]
    assert totals.months.tolist() == [2000.0, 1000.5] and totals.cost.tolist() == [70000.0, 50000.25]
    assert totals.names == {"age_sex": ("k_0_49", "m_50_up"), "flag": ("diabetes",), "index": (), "covariate": ("cni",)}
    assert totals.columns["age_sex"].tolist() == [[1500.0, 500.0], [400.5, 600.0]]
    assert totals.columns["index"].shape == (2, 0)
    np.testing.assert_allclose(totals.sums("covariate"), [[-1000.0], [1000.5 * 1.25]])
    np.testing.assert_allclose(totals.sums("flag"), [[100.0], [50.0]])
    assert totals.counts == {"centres_without_months": 1}
    assert any("ignored comment" in sentence for sentence in totals.found)
    assert not any("age_sex" in sentence for sentence in totals.found)


def test_thousands_apart_and_names_missing(tmp_path):
    path = tmp_path / "totals.csv"
    path.write_text("Centre_ID;Months;Cost\n007;1 000,5;2\u00a0000\n8;10;5\n", encoding="utf-8-sig")
    totals = read_totals(path)
    assert totals.centre_ids.tolist() == ["007", "8"]
    assert totals.centres["name"].tolist() == ["007", "8"]
    assert totals.months.tolist() == [1000.5, 10.0] and totals.cost.tolist() == [2000.0, 5.0]


def changed(column: str, row: int, value) -> pd.DataFrame:
    frame = GOOD.astype({column: object} if isinstance(value, str) else {})
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize("frame, said", [
    (changed("centre_id", 1, "v2"), "row 2, column centre_id, value 'v2': the centre is there twice"),
    (changed("months", 0, -5.0), "row 1, column months, value '-5': a sum over a centre's persons cannot be below 0"),
    (changed("cost", 0, -5.0), "row 1, column cost, value '-5': a sum over"),
    (changed("flag_diabetes", 1, 2100.0), "row 2, column flag_diabetes, value '2100': more flagged months than listed"),
    (changed("age_sex_K_0_49", 1, 1600.0), r"row 2, column age_sex_\*, value '2100': the age and sex columns do not"),
    (changed("age_sex_K_0_49", 1, -1500.0), "row 2, column age_sex_k_0_49, value '-1500': a sum over"),
    (changed("cost", 1, None), "row 2, column cost: the value is missing"),
    (changed("covariate_cni", 2, None), "row 3, column covariate_cni: the value is missing"),
    (changed("cost", 1, "much"), "row 2, column cost, value 'much': is no number"),
    (changed("cost", 1, np.inf), "row 2, column cost, value 'inf': is no"),
    (changed("centre_id", 0, None), "row 1, column centre_id: the value is missing"),
    (GOOD.drop(columns="months"), "column months: the column is missing. Add months"),
    (GOOD.rename(columns={"flag_diabetes": "flag_a-b"}), "column flag_a-b: the column's name has other signs"),
    (GOOD.iloc[:0], "the table is empty"),
])
def test_what_is_wrong_is_said_with_file_row_column_value_and_remedy(tmp_path, frame, said):
    with pytest.raises(DataError, match=said) as error:
        read_totals(write(frame, tmp_path / "totals.csv"))
    assert all(p.file == "totals.csv" and p.remedy for p in error.value.problems)


@pytest.mark.parametrize("column, value", [("cost", None), ("cost", "much"), ("cost", np.inf), ("centre_id", None)])
def test_a_frame_is_checked_like_a_file(column, value):
    with pytest.raises(DataError, match=f"totals.*column {column}"):
        Totals.from_frame(changed(column, 1, value))


def test_all_is_said_at_once():
    frame = GOOD.assign(months=[-1.0, 2000.0, 0.0], cost=[1.0, -2.0, 0.0], centre_id=["a", "a", "a"])
    with pytest.raises(DataError) as error:
        Totals.from_frame(frame)
    assert {p.column for p in error.value.problems} >= {"months", "cost", "centre_id", "age_sex_*", "flag_diabetes"}
    assert next(p for p in error.value.problems if p.column == "centre_id").count == 2


def test_rounding_of_the_parts_is_forgiven():
    Totals.from_frame(GOOD.assign(age_sex_K_0_49=[401.0, 1501.0, 0.0]))


@pytest.mark.parametrize("name", ["nothing.csv", "totals.txt.gz"])
def test_no_such_file(tmp_path, name):
    (tmp_path / "totals.txt.gz").write_text("x")
    with pytest.raises(UserError, match="does not exist|must end in"):
        read_totals(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense", b"\x00\x01"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_files_that_are_not_what_they_say(tmp_path, content, suffix):
    (tmp_path / f"totals{suffix}").write_bytes(content)
    with pytest.raises(DataError, match=f"totals{suffix}"):
        read_totals(tmp_path / f"totals{suffix}")
