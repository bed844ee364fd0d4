"""A centre's result taken apart: the parts sum to what it gets, and what it gets less its cost is its net."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fake_run import make
from lakemedelsmodell.cli import main
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.report.centre import explain_centre


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which one centre's reimbursement is told in parts."""
    folder = tmp_path_factory.mktemp("centre") / "run"
    make(folder, "files", "for", 12)
    rows = list(csv.DictReader((folder / "centres.csv").open(encoding="utf-8")))
    centre = rows[0]["centre_id"]
    with (folder / "contributions.csv").open("w", encoding="utf-8", newline="") as handle:
        out = csv.writer(handle)
        out.writerow(["centre_id", "model", "kind", "name", "sex", "age_from", "listed_months", "sek"])
        for row in rows:
            whole = float(row["reimbursement_sek"])
            parts = {"age_sex": [("0-04", "K", 0, whole)],
                     "chronic": [("0-04", "K", 0, 600.0), ("0-04", "M", 0, 400.0)]}.get(row["model"], [])
            for name, sex, age, sek in parts:
                out.writerow([row["centre_id"], row["model"], "age_sex", name, sex, age, 100, sek])
            if row["model"] == "chronic":
                out.writerow([row["centre_id"], "chronic", "condition", "doak", "", "", 50, 250.5])
                out.writerow([row["centre_id"], "chronic", "few", "few", "", "", "", whole - 1250.5])
    (folder / "centre").write_text(centre)
    return folder


def test_the_parts_sum_to_the_reimbursement_and_the_net_follows(run: Path) -> None:
    told = explain_centre(run, (run / "centre").read_text())
    rows = dict(told.rows)
    for m in range(2):
        parts = [values[m] for label, values in told.rows[:-4] if values[m] is not None]
        assert sum(parts) == pytest.approx(rows["Reimbursement"][m], abs=0.005)
        assert rows["Net"][m] == pytest.approx(rows["Reimbursement"][m] - rows["Own share of cost"][m], abs=0.02)
    assert rows["Age and sex"][1] == 1000.0
    assert rows["Anticoagulation – DOAC"] == (None, 250.5)


def test_it_is_told_in_swedish(run: Path) -> None:
    text = str(explain_centre(run, (run / "centre").read_text(), lang="sv"))
    assert "Ålder och kön" in text and "Antikoagulantia – DOAK" in text
    assert "Övrigt (för få personer för att visas var för sig)" in text


def test_unknown_centres_models_and_folders_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="centre"):
        explain_centre(run, "nowhere")
    with pytest.raises(UserError, match="flat"):
        explain_centre(run, (run / "centre").read_text(), models=("age_sex", "flat"))
    with pytest.raises(UserError, match="no run folder"):
        explain_centre(tmp_path, "VC001")


@pytest.mark.parametrize("arguments", [
    ["--centre", "VC001"], ["RUN"], ["RUN", "--centre", "VC001", "--age", "60"], ["--age", "60"], []])
def test_a_person_or_a_centre_but_not_both(arguments: list[str], run: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(run) if a == "RUN" else a for a in arguments]
    monkeypatch.setattr("sys.argv", ["lakemedelsmodell", "explain", *given])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
