"""results.xlsx: a sheet per table, numbers as numbers, headed in both languages, nothing of too few persons."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from fake_run import NASTY, make
from lakemedelsmodell.report.contents import read_run
from lakemedelsmodell.report.results_workbook import header, sheets, write_workbook
from lakemedelsmodell.report.texts import texts_of
from lakemedelsmodell.report.workbook import new_workbook

REFERENCE = Path(__file__).parents[2] / "reports" / "skane_2026h1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workbook") / "run"
    make(folder, "files", "for", 12)
    return folder


def test_every_table_is_there_with_two_frozen_header_rows(folder: Path, tmp_path: Path) -> None:
    write_workbook(read_run(folder), tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    assert {"Läs först", "Modeller", "Jämförelser", "Vårdcentraler", "Belopp"} <= set(book.sheetnames)
    assert book.sheetnames[0] == "Läs först" and book["Läs först"].freeze_panes == "B2"
    assert {sheet.freeze_panes for sheet in book.worksheets[1:]} == {"B3"}
    centres = book["Vårdcentraler"]
    assert [c.value for c in centres[1]][-1] == "Netto, kr per listad månad"
    assert [c.value for c in centres[2]][-1] == "Net, SEK per listed month"
    assert isinstance(centres.cell(3, centres.max_column).value, (int, float))
    assert NASTY in {row[1] for row in centres.iter_rows(min_row=3, values_only=True)}


def test_every_column_of_the_reference_run_has_words_in_both_languages() -> None:
    shown = {column for _, rows in sheets(read_run(REFERENCE)) for row in rows for column, value in row.items()
             if not isinstance(value, (dict, list))}
    nameless = {c for c in shown for lang in ("sv", "en") if header(c, lang) == c}
    assert nameless == set()
    assert texts_of("workbook", "sv").keys() == texts_of("workbook", "en").keys()


def test_what_to_read_first_says_it_in_both_languages_and_names_every_sheet(folder: Path, tmp_path: Path) -> None:
    write_workbook(read_run(folder), tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    rows = list(book["Läs först"].iter_rows(values_only=True))
    assert rows[0] == ("Uppgift", "Vad körningen säger", "Item", "What the run says")
    assert set(book.sheetnames[1:]) <= {row[0] for row in rows}
    assert ("Regeln säger ja", "The rule says yes") in {(row[0], row[2]) for row in rows}
    assert not any("<" in str(text) and ">" in str(text) for row in rows for text in row)
    alike = {row[0] for row in rows if row[1] == row[3]}
    assert alike <= {"Förbehåll"}  # a warning of a kind that has no texts stands as the run said it


def test_sums_and_clauses_are_numbers_with_names() -> None:
    tables, results = dict(sheets(read_run(REFERENCE))), read_run(REFERENCE).results
    sums = {row["what_en"]: row["value"] for row in tables["totals"]}
    assert sums["Drug cost, SEK"] == results.at("totals", "cost_sek")
    assert sums["Cost without a listed month, SEK"] == results.at("totals", "left_out", "cost_without_listed_month_sek")
    assert [row["number"] for row in tables["verdict"]] == [c.at("number") for c in results.parts("verdict", "clauses")]
    assert {row["stands_sv"] for row in tables["verdict"]} == {"Uppfylls", "Uppfylls inte", "Inte avgjort"}


def test_centres_are_typed() -> None:
    row = dict(sheets(read_run(REFERENCE)))["centres"][0]
    assert {type(row[c]) for c in ("listed_months", "net_sek", "standard_error", "reliability")} == {float}
    assert isinstance(row["outside_funnel"], bool)


def test_amounts_stand_with_their_intervals(folder: Path) -> None:
    rows = [row for row in dict(sheets(read_run(folder)))["amounts"] if row["model"] == "chronic"]
    sure = {(row["name"], row["sex"]): (row["amount_ci_low"], row["amount_ci_high"]) for row in rows}
    assert sure["60-64", "K"] == (-2.0, 4.0) and sure["60-64", "M"] == (None, None) == sure["glaukom", None]
    low, high = sure["doak", None]
    assert low < next(row["sek_per_month"] for row in rows if row["name"] == "doak") < high


def test_a_condition_held_by_three_persons_tells_nothing(folder: Path) -> None:
    tables = dict(sheets(read_run(folder)))
    few = [row for name in ("conditions", "incentives", "amounts") for row in tables.get(name, ())
           if "glaukom" in (row.get("condition"), row.get("name"))]
    assert few
    assert all(row.get("persons") is None and row.get("sek_per_month") is None for row in few)


def test_the_same_run_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(read_run(folder), tmp_path / name)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


@pytest.mark.parametrize("text", ["=1+1", "+46", "-cmd", "@SUM(A1)"])
def test_text_is_never_a_formula(text: str, tmp_path: Path) -> None:
    with new_workbook(tmp_path / "t.xlsx") as book:
        book.sheet("s", ["a"], [[text]])
    cell = openpyxl.load_workbook(tmp_path / "t.xlsx")["s"]["A2"]
    assert (cell.value, cell.data_type) == (text, "s")


def test_unknown_stays_empty(tmp_path: Path) -> None:
    with new_workbook(tmp_path / "t.xlsx") as book:
        book.sheet("s", ["a", "b", "c"], [[None, float("nan"), 0.0]])
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["s"]
    assert [c.value for c in sheet[2]] == [None, None, 0]


def test_decimals_of_a_column_stand_below_each_other(tmp_path: Path) -> None:
    with new_workbook(tmp_path / "r.xlsx") as book:
        book.sheet("table", ["ratio", "SEK", "persons"], [(0.87654321, 12.3456, 7), (1.0, 1234.0, 5), (None, 0.7, 6)])
    sheet = openpyxl.load_workbook(tmp_path / "r.xlsx")["table"]
    assert [[cell.number_format for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        ["0.000", "#,##0.00", "#,##0"], ["0.000", "#,##0", "#,##0"], ["General", "#,##0.00", "#,##0"]]
    assert sheet["A2"].value == 0.87654321  # shown shorter, kept whole
