"""The same four tables in every dress give the same half-year; what was detected is said."""

from pathlib import Path

import pandas as pd
import pytest

from lakemedelsmodell.data.cohort_file import read_cohort
from lakemedelsmodell.data.files import read_half_year
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import DataError, UserError

TABLES = {
    "centres": pd.DataFrame({"centre_id": ["A", "B"], "name": ["Åhus – norra", "Bjärnum"], "cni": [1.5, None],
                             "rural": [True, False]}),
    "persons": pd.DataFrame({"person_id": [11, 2, 30], "sex": ["K", "M", "K"],
                             "birth_month": ["1960-05", "1951-12", "2025-01"],
                             "death_date": [None, "2026-02-03", None]}),
    "listings": pd.DataFrame({"person_id": [11, 2, 30, 11], "centre_id": ["A", "B", "A", "B"],
                              "start_date": ["2020-01-01", "2020-02-01", "2025-01-15", "2026-03-01"],
                              "end_date": ["2026-03-01", None, None, None]}),
    "dispensings": pd.DataFrame({"person_id": [11, 2, 11, 2],
                                 "date": ["2026-01-05", "2026-01-06", "2025-07-01", "2026-01-06"],
                                 "atc": ["A10BA02", "C10AA05", "L01BA01", "C10AA05"], "packages": [1, 2, 1, -1],
                                 "ddd": [30.0, 200.0, None, -100.0], "cost": [1234.5, 100.0, 0.25, -50.0],
                                 "gross_price": [2000.0, 200.0, 1.0, -100.0],
                                 "dose_dispensed": [False, False, True, False], "in_base": [True, True, False, True]}),
}
DATES = ["death_date", "start_date", "end_date", "date"]


def typed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{c: pd.to_datetime(table[c]).dt.date for c in DATES if c in table})


def write_csv(folder: Path) -> None:
    for name, table in TABLES.items():
        table.to_csv(folder / f"{name}.csv", index=False)


def write_swedish(folder: Path) -> None:
    """Semicolons, decimal comma, thousands apart, YYYYMMDD, 1/2, ja/nej and two encodings, rows in another order."""
    for name, table in TABLES.items():
        table = table.iloc[::-1].copy()
        for column in set(DATES) & set(table):
            table[column] = table[column].str.replace("-", "")
        for column in table.select_dtypes(bool).columns:
            table[column] = table[column].map({True: "ja", False: "NEJ"})
        if name == "persons":
            table["sex"] = table["sex"].map({"K": "2", "M": "1"})
        if name == "dispensings":
            table["cost"] = [f"{c:,.2f}".replace(",", "\u00a0").replace(".", ",") for c in table["cost"]]
            table["atc"] = table["atc"].str.lower()
        table.to_csv(folder / f"{name}.csv", index=False, sep=";", decimal=",",
                     encoding="utf-8-sig" if name == "persons" else "cp1252")


def write_register(folder: Path) -> None:
    """Names of one's own, births by date, DDD per package, a column nobody asked for."""
    own = {"person_id": "lopnr", "date": "EDATUM", "packages": "ANTAL", "ddd": "forpddd", "atc": "ATC"}
    for name, table in TABLES.items():
        if name == "dispensings":
            table = table.assign(ddd=table["ddd"] / table["packages"], VARUNR=1).rename(columns=own)
        if name == "persons":
            table = table.assign(birth_month=table["birth_month"] + "-17").rename(columns={"birth_month": "birth_date"})
        table.to_csv(folder / f"{name}.csv", index=False, sep="\t")
    (folder / "columns.toml").write_text('[dispensings]\nlopnr = "person_id"\nEDATUM = "date"\npackages = "ANTAL"\n'
                                         'forpddd = "ddd"\n')


def write_parquet(folder: Path) -> None:
    for name, table in TABLES.items():
        typed(table).to_parquet(folder / f"{name}.parquet", index=False)


def write_parts(folder: Path) -> None:
    for name, table in TABLES.items():
        (folder / name).mkdir()
        for i, part in enumerate((typed(table).iloc[:1], typed(table).iloc[1:])):
            part.to_parquet(folder / name / f"{i}.parquet", index=False)


def write_untyped_parquet(folder: Path) -> None:
    for name, table in TABLES.items():
        table.astype({c: "str" for c in table.columns if c != "person_id"}).where(table.notna()).to_parquet(
            folder / f"{name}.parquet", index=False)


def write_workbooks(folder: Path) -> None:
    for name, table in TABLES.items():
        typed(table).to_excel(folder / f"{name}.xlsx", index=False)


def write_one_workbook(folder: Path) -> None:
    with pd.ExcelWriter(folder / "extract.xlsx") as book:
        for name, table in TABLES.items():
            typed(table).to_excel(book, sheet_name=name, index=False)


def in_memory() -> HalfYear:
    return HalfYear.from_frames(**{name: typed(table) for name, table in TABLES.items()})


@pytest.fixture(scope="module")
def plain() -> HalfYear:
    return in_memory()


@pytest.mark.parametrize(("write", "said"), [
    (write_csv, "dispensings.csv: UTF-8, separated by commas"),
    (write_swedish, "dispensings.csv: decimal comma"),
    (write_register, "dispensings.csv: ignored VARUNR"),
    (write_parquet, "base drugs: rows with in_base"),
    (write_parts, "base drugs: rows with in_base"),
    (write_untyped_parquet, "base drugs: rows with in_base"),
    (write_workbooks, "base drugs: rows with in_base"),
    (write_one_workbook, "base drugs: rows with in_base"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_every_dress_gives_the_same_half_year(plain, tmp_path, write, said):
    write(tmp_path)
    year = read_half_year(tmp_path)
    assert year.content_hash == plain.content_hash
    assert {k: n for k, n in year.counts.items() if k != "atc_normalised"} == plain.counts == {"ddd_unknown": 1}
    assert said in year.found
    assert list(year.centres_frame["name"]) == ["Åhus – norra", "Bjärnum"]


def test_what_is_done_to_codes_is_counted(tmp_path):
    write_csv(tmp_path)
    text = (tmp_path / "dispensings.csv").read_text()
    (tmp_path / "dispensings.csv").write_text(text.replace("A10BA02", " a10 ba.02").replace("L01BA01", "QL01BA01"))
    year = read_half_year(tmp_path)
    assert year.counts["atc_normalised"] == 1
    assert year.counts["atc_malformed_or_unknown"] == 1
    assert list(year.codes["atc"]) == ["A10BA02", "C10AA05", "QL01BA01"]


def test_a_hash_knows_one_changed_krona(plain):
    changed = {name: typed(table) for name, table in TABLES.items()}
    changed["dispensings"] = changed["dispensings"].assign(cost=[1235.5, 100.0, 0.25, -50.0])
    assert HalfYear.from_frames(**changed).content_hash != plain.content_hash


def test_person_ids_may_be_text(tmp_path):
    write_csv(tmp_path)
    for name in ("persons", "listings", "dispensings"):
        path = tmp_path / f"{name}.csv"
        path.write_text(path.read_text().replace("\n2,", "\n02,"))
    persons = read_half_year(tmp_path).persons.order_by("person").to_pandas()
    assert list(persons["person_id"]) == ["02", "11", "30"]


def test_only_years_of_birth_are_taken_at_their_middle(tmp_path):
    write_csv(tmp_path)
    TABLES["persons"].assign(birth_month=[1960, 1951, 2025]).rename(columns={"birth_month": "birth_year"}).to_csv(
        tmp_path / "persons.csv", index=False)
    year = read_half_year(tmp_path)
    assert [str(d)[:7] for d in year.persons.order_by("person").to_pandas()["birth_month"]] == [
        "1951-07", "1960-07", "2025-07"]
    assert any("July" in sentence for sentence in year.found)


def test_a_run_folder_will_do_for_its_data(plain, tmp_path):
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data")
    (tmp_path / "centres.csv").write_text("centre_id,name,model,net_sek\nA,Å,chronic,1.0\n")  # what came out
    assert read_half_year(tmp_path).content_hash == plain.content_hash


def test_duplicate_rows_are_counted_and_kept(tmp_path):
    write_csv(tmp_path)
    path = tmp_path / "dispensings.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    year = read_half_year(tmp_path)
    assert year.counts["duplicate_rows"] == 1
    assert year.dispensings.count().execute() == 5


# Cohort files

COHORT = pd.DataFrame({"person_id": ["b", "a", "a"], "centre_id": ["X", "Y", "X"], "age": [104, 3, 3],
                       "sex": ["2", "M", "m"], "months": [6.0, 2.0, 4.0],
                       "cost": [1.5, 0.0, 3.25], "weight": [2.0, 1.0, 0.5],
                       "flag_asthma": [1, 0, 0], "flag_cancer": [0, 1, 1]})


@pytest.mark.parametrize("dress", ["csv", "swedish.csv", "parquet"])
def test_a_cohort_file_is_read_in_order_of_person_and_centre(tmp_path, dress):
    path = tmp_path / f"cohort.{dress}"
    if dress == "parquet":
        COHORT.to_parquet(path)
    else:
        COHORT.to_csv(path, index=False, **({"sep": ";", "decimal": ","} if dress == "swedish.csv" else {}))
    cohort = read_cohort(path)
    assert list(cohort.centre_ids) == ["X", "Y"]
    assert list(cohort.person) == [0, 0, 1]
    assert list(cohort.centre) == [0, 1, 0]
    assert list(cohort.sex) == [1, 1, 0]
    assert list(cohort.band) == [0, 0, 20]
    assert list(cohort.cost) == [3.25, 0.0, 1.5]
    assert list(cohort.exposure) == [2.0, 2.0, 12.0]
    assert cohort.conditions == ("asthma", "cancer")
    assert cohort.flags["dispensed"].tolist() == [[False, True], [False, True], [True, False]]
    assert cohort.period is None
    assert cohort.fit_cost is None


def test_cohort_rows_without_months_or_weight_are_counted_and_left_out(tmp_path):
    COHORT.assign(months=[6, 0, 4], weight=[2, 1, 0]).to_csv(tmp_path / "c.csv", index=False)
    cohort = read_cohort(tmp_path / "c.csv")
    assert list(cohort.cost) == [1.5]
    assert cohort.counts == {"rows_without_months": 2}


def test_a_cohort_file_with_errors_tells_them_all(tmp_path):
    bad = pd.concat([COHORT, COHORT.iloc[:1]])
    bad["age"] = [200, 3, 3, 104]
    bad["months"] = [6, -2, 4, 6]
    bad.to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError) as error:
        read_cohort(tmp_path / "c.csv")
    assert [(p.row, p.column, p.value) for p in error.value.problems] == [
        (1, "age", "200.0"), (2, "months", "-2.0"), (4, "person_id", "x")]
    with pytest.raises(UserError, match="does not exist"):
        read_cohort(tmp_path / "nowhere.csv")
