"""The amount table as a region publishes it: three files that say the same, and say what a reader must know."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from lakemedelsmodell.amounts import published_table, write_amounts
from lakemedelsmodell.cli import main
from lakemedelsmodell.report.publication import publication, publish, signature

REFERENCE = Path(__file__).parents[2] / "reports" / "skane_2026h1" / "amounts.csv"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["lakemedelsmodell", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("publish") / "published"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert call(monkeypatch, "publish", REFERENCE, "--out", out) == 0
    return out


def test_the_workbook_holds_every_amount_as_a_number(folder: Path) -> None:
    book = openpyxl.load_workbook(folder / "amounts.en.xlsx")
    rows = {row[0]: row[1:] for row in book["Add-ons"].iter_rows(min_row=2, values_only=True)}
    reference = {line.split(",")[2]: float(line.split(",")[6]) for line in REFERENCE.read_text("utf-8").splitlines()
                 if line.startswith("chronic,condition,")}
    assert {name: amount for name, (_, amount, *_) in rows.items()} == reference
    assert book["Age and sex"].freeze_panes == "B2"
    heads, *_, last = book["Age and sex"].iter_rows(values_only=True)
    assert last[0] == "100 and older" and (last[heads.index("Women")], last[heads.index("Men")]) == (116, 9)


def test_the_page_says_the_rule_the_drugs_and_what_to_beware_of(folder: Path) -> None:
    page = (folder / "amounts.sv.html").read_text("utf-8")
    assert "8 av 42 belopp för ålder och kön är under noll" in page
    assert "apixaban" in page and "B01AF" in page and "Räknas inte bredvid KOL." in page
    assert "Simulerade: Skåne, första halvåret 2026" in page
    assert not re.search(r"(src|href)=\"http", page)
    total = re.search(r"Anders ihop.*?Summa per månad</th><td>([^<]+)", page, re.S)
    assert total and total[1] == "704"


def test_the_pdf_is_a_pdf_of_a_few_pages(folder: Path) -> None:
    content = (folder / "amounts.sv.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and 1 <= content.count(b"/Type /Page\n") <= 4


def test_the_same_amounts_give_the_same_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "publish", REFERENCE, "--out", tmp_path / "again") == 0
    for path in folder.glob("amounts.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_signature_is_of_the_amounts_alone(tmp_path: Path) -> None:
    table = published_table(2026)
    write_amounts([table], tmp_path / "a.csv")
    other = published_table(2025)
    assert signature(table) != signature(other)
    assert dict(publication(table, "en").origin)["Checksum of the amounts"] == signature(table)


def test_todays_table_has_no_add_ons_and_no_warnings(tmp_path: Path) -> None:
    told = publication(published_table(2026), "sv")
    assert told.add_ons == () and told.notes == ()
    label, *both = told.bands[12]
    assert (label, [sek for sek, _ in both], told.sure) == ("60–64", [107.0, 121.0], False)


def test_intervals_stand_beside_the_amounts_they_are_of(tmp_path: Path) -> None:
    table = replace(published_table(2026), model="chronic", conditions=("kol", "doak"), add_ons=np.array([300.0, 50.0]),
                    rule="dispensed", condition_set="skane_wide")
    told_of = [{"kind": "age_sex", "name": "60-64", "sex": "K", "age_from": 60, "sek_per_month": 107.0, "ci_low": 103.2,
                "ci_high": 110.8},
               {"kind": "age_sex", "name": "60-64", "sex": "M", "age_from": 60, "sek_per_month": 99.0, "ci_low": 90.0,
                "ci_high": 108.0},
               {"kind": "condition", "name": "kol", "sex": None, "age_from": None, "sek_per_month": 300.0,
                "ci_low": 290.0, "ci_high": 310.0},
               {"kind": "condition", "name": "doak", "sex": None, "age_from": None, "sek_per_month": 50.0,
                "ci_low": None, "ci_high": None}]
    write_amounts([table], tmp_path / "amounts.csv")
    (tmp_path / "results.json").write_text(json.dumps({"amount_intervals": {"chronic": told_of}}), encoding="utf-8")
    (tmp_path / "out").mkdir()
    html, pdf, workbook = publish(tmp_path / "amounts.csv", "chronic", tmp_path / "out", ("en",))

    page = html.read_text("utf-8")
    assert '<td>107<span class="half">±4</span></td>' in page and '<td>300<span class="half">±10</span></td>' in page
    assert '<td>121<span class="half"></span></td>' in page  # of another amount than the table's
    assert "half the 95% interval" in page and pdf.stat().st_size > 10_000
    book = openpyxl.load_workbook(workbook)
    assert [c.value for c in book["Age and sex"][14]] == ["60–64", 107, pytest.approx(3.8), 121, None]
    assert [c.value for c in book["Add-ons"][2]][2:4] == [300, 10]


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (("--model", "chronc"), 2, "chronic"),
    (("--lang", "fi"), 2, "fi"),
])
def test_wrong_calls_write_nothing(arguments: tuple[str, ...], code: int, said: str, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "publish", REFERENCE, "--out", tmp_path / "p", *arguments) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert call(monkeypatch, "publish", REFERENCE, "--out", tmp_path) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
