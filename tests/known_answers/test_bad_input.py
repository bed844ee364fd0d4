"""Bad files: every problem at once, each with file, row, column, value and remedy."""

import pytest

from lakemedelsmodell.data.files import read_half_year
from lakemedelsmodell.errors import SHOWN, DataError, Problem, UserError

GOOD = {
    "centres": "centre_id,name\nA,Åhus\nB,Båstad\n",
    "persons": "person_id,sex,birth_month,death_date\n1,K,1960-05,\n2,M,1955-01,2026-02-01\n",
    "listings": "person_id,centre_id,start_date,end_date\n1,A,2020-01-01,2026-02-01\n1,B,2026-02-01,\n"
                "2,A,2020-01-01,\n",
    "dispensings": "person_id,date,atc,packages,ddd,cost\n1,2026-01-05,A10BA02,1,30,10.5\n"
                   "2,2026-01-06,C10AA05,2,60,20\n",
}


@pytest.fixture
def folder(tmp_path):
    for table, text in GOOD.items():
        (tmp_path / f"{table}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def problems(folder) -> list[Problem]:
    with pytest.raises(DataError) as error:
        read_half_year(folder)
    for problem in error.value.problems:
        assert problem.remedy.endswith(".")
        assert "\n" not in str(problem)
    return error.value.problems


def spoil(folder, table, old, new):
    path = folder / f"{table}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_good_files_are_good(folder):
    assert read_half_year(folder).counts == {}


@pytest.mark.parametrize(("table", "old", "new", "row", "column", "value", "words"), [
    ("persons", "2,M,", "1,M,1960-05,\n2,M,", 2, "person_id", "#", "twice"),
    ("persons", "K,1960", "F,1960", 1, "sex", "F", "K or 2"),
    ("persons", "1960-05", "1960-13", 1, "birth_month", "1960-13", "month of birth"),
    ("persons", "1960-05", "1760-05", 1, "birth_month", "1760-05-01", "month of birth"),
    ("persons", "1,K,1960-05", "1,,1960-05", 1, "sex", None, "missing"),
    ("persons", "2026-02-01", "2026-02-30", 2, "death_date", "2026-02-30", "no date"),
    ("centres", "B,", "A,Åhus\nB,", 2, "centre_id", "A", "twice"),
    ("listings", "2,A,2020", "2,C,2020", 3, "centre_id", "C", "not in centres"),
    ("listings", "2,A,2020", "7,A,2020", 3, "person_id", "#", "not in persons"),
    ("listings", "1,B,2026-02-01", "1,B,2026-01-31", 2, "start_date", "2026-01-31", "overlaps"),
    ("listings", "1,A,2020-01-01,2026-02-01", "1,A,2020-01-01,", 2, "start_date", "2026-02-01", "overlaps"),
    ("listings", "2020-01-01,2026-02-01", "2020-01-01,2019-02-01", 1, "end_date", "2019-02-01", "before it starts"),
    ("dispensings", "2026-01-06", "2026-02-29", 2, "date", "2026-02-29", "no date"),
    ("dispensings", "2026-01-06", "06/01/2026", 2, "date", "06/01/2026", "YYYY-MM-DD"),
    ("dispensings", "2026-01-06", "0206-01-06", 2, "date", "0206-01-06", "date of a dispensing"),
    ("dispensings", "2026-01-06", "", 2, "date", None, "missing"),
    ("dispensings", ",1,30,", ",one,30,", 1, "packages", "one", "no number"),
    ("dispensings", "10.5", "-10.5", 1, "cost", "-10.5", "negative cost"),
    ("dispensings", "10.5", '"10,5"', 1, "cost", "10,5", "decimal sign"),
    ("dispensings", "10.5", "inf", 1, "cost", "inf", "no number"),
    ("dispensings", "10.5", "", 1, "cost", None, "missing"),
])
def test_one_wrong_value_is_one_line(folder, table, old, new, row, column, value, words):
    spoil(folder, table, old, new)
    (problem,) = problems(folder)
    assert (problem.file, problem.row, problem.column, problem.value) == (f"{table}.csv", row, column, value)
    assert words in str(problem)


@pytest.mark.parametrize(("table", "text", "words"), [
    ("persons", "", "file is empty"),
    ("persons", "person_id,sex,birth_month\n", "table is empty"),
    ("listings", "person_id,centre_id,start_date\n1,A,2020-01-01\n", "column end_date: the column is missing"),
    ("dispensings", GOOD["dispensings"].replace("atc", "code"), "column atc: the column is missing"),
    ("persons", GOOD["persons"] + "3,K,1960-01,,1,2\n", "row 3: the line has not as many values"),
    ("persons", GOOD["persons"] + "3,K\n", "row 3: the line has not as many values"),
])
def test_a_table_without_its_form_is_told(folder, table, text, words):
    (folder / f"{table}.csv").write_text(text)
    (problem,) = problems(folder)
    assert words in str(problem)


def test_a_missing_table_is_told(folder):
    (folder / "listings.csv").unlink()
    (problem,) = problems(folder)
    assert str(problem).startswith("listings: the table is missing")


def test_two_files_of_one_table_are_told(folder):
    (folder / "listings.txt").write_text(GOOD["listings"])
    (problem,) = problems(folder)
    assert "listings.csv, listings.txt" in str(problem)


def test_a_folder_that_is_none_is_the_caller_s_mistake(folder):
    with pytest.raises(UserError, match="is no folder") as error:
        read_half_year(folder / "nowhere")
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("content", "words"), [
    (b"centre_id,name\nA,\xc5hus\nB,\x81\n", "row 2, value 'byte 0x81'"), (b"centre_id,name\nA,\x00\n", "not text"),
])
def test_an_unreadable_encoding_is_told(folder, content, words):
    (folder / "centres.csv").write_bytes(content)
    (problem,) = problems(folder)
    assert problem.file == "centres.csv"
    assert words in str(problem)


@pytest.mark.parametrize("name", ["persons.parquet", "persons.xlsx"])
def test_a_broken_file_is_told(folder, name):
    (folder / "persons.csv").unlink()
    (folder / name).write_bytes(b"no such thing")
    (problem,) = problems(folder)
    assert problem.file == name


def test_numbers_with_both_signs_are_told(folder):
    (folder / "dispensings.csv").write_text(
        "person_id;date;atc;packages;ddd;cost\n1;2026-01-05;A10BA02;1;30,5;10.5\n2;2026-01-06;C10AA05;2;60;20\n")
    (problem,) = problems(folder)
    assert (problem.row, problem.column, problem.value) == (1, "cost", "10.5")


def test_all_problems_of_all_tables_come_at_once(folder):
    spoil(folder, "persons", "K,1960", "X,1960")
    spoil(folder, "listings", "2,A,2020", "2,C,2020")
    spoil(folder, "dispensings", "2026-01-06", "2026-13-06")
    spoil(folder, "dispensings", "10.5", "-10.5")
    assert {(p.file, p.column) for p in problems(folder)} == {
        ("persons.csv", "sex"), ("listings.csv", "centre_id"), ("dispensings.csv", "date"), ("dispensings.csv", "cost")}


def test_the_first_of_a_kind_are_shown_with_their_count(folder):
    rows = "".join(f"1,2026-02-{d},A10BA02,1,30,10\n" for d in range(29, 60))
    (folder / "dispensings.csv").write_text(GOOD["dispensings"] + rows)
    found = problems(folder)
    assert len(found) == SHOWN
    assert [p.row for p in found] == list(range(3, 3 + SHOWN))
    assert found[0].count == 31
    assert "(31 rows)" in str(found[0])
    assert all(p.count == 1 for p in found[1:])


def test_columns_toml_says_what_it_cannot_do(folder):
    (folder / "columns.toml").write_text('[dispensings]\nEDATUM = "datum"\nBRUTTO = "gross_price"\n[people]\na = "b"\n')
    said = [str(p) for p in problems(folder)]
    assert any("EDATUM" in s and "column of dispensings" in s for s in said)
    assert any("people" in s and "is no table" in s for s in said)
    assert any("BRUTTO" in s and "dispensings.csv has no such column" in s for s in said)
    (folder / "columns.toml").write_text("lopnr = person_id\n")
    assert any("is not TOML" in str(p) for p in problems(folder))


def test_what_is_odd_but_not_fatal_is_counted(folder):
    spoil(folder, "dispensings", "2,2026-01-06,C10AA05,2,60,20\n",
          "9,2026-01-06,C10AA05,2,60,20\n1,2019-01-05,c10aa05,2,,20\n1,2026-01-05,zzz,-1,30,-5\n,2026-01-05,,1,30,5\n")
    assert read_half_year(folder).counts == {
        "atc_malformed_or_unknown": 1, "atc_missing": 1, "atc_normalised": 2, "correction_without_purchase": 1,
        "ddd_unknown": 1, "dispensings_of_unlisted_person": 2, "dispensings_outside_listing": 1}
