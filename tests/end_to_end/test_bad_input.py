"""The catalogue of bad inputs: each is read rightly and said so, or told in one line with what to do."""

import sys
from pathlib import Path

import pytest

from bad_inputs.catalogue import CASES, TOLD, Case
from bad_inputs.makers import PERSONNUMMER, good
from lakemedelsmodell.cli import main
from lakemedelsmodell.data.files import read_half_year
from lakemedelsmodell.data.tables import KINDS


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    good(folder)
    year = read_half_year(folder)
    assert not year.counts
    return year


@pytest.fixture
def region(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "region"
    folder.mkdir()
    good(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_catalogue_is_as_long_as_promised():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 80
    assert set(TOLD) <= set(names)


@pytest.mark.parametrize("case", [case for case in CASES if case.outcome == "wrong"], ids=lambda case: case.name)
def test_what_is_wrong_is_told_in_one_line_and_nothing_is_written(case: Case, region, tmp_path, monkeypatch, capsys):
    case.make(region)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["lakemedelsmodell", *case.call.split()])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    for line, told in zip(said.err.removeprefix("error: ").splitlines(), case.told, strict=True):
        assert line.startswith(told[:-1]) if told.endswith("…") else line == told
        assert ". " in told, "no remedy after the problem"
    assert left.value.code == 1
    assert not said.out
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", [case for case in CASES if case.outcome != "wrong"], ids=lambda case: case.name)
def test_what_can_be_read_is_read_rightly_and_said(case: Case, region, plain):
    case.make(region)
    year = read_half_year(region)
    assert (year.content_hash == plain.content_hash) == (case.outcome == "read")
    assert year.counts == case.counts
    assert set(year.counts) <= set(KINDS)
    assert tuple(sentence for sentence in year.found if sentence not in plain.found) == case.told


def test_no_part_of_a_personal_number_is_ever_shown():
    digits = "".join("".join(filter(str.isdigit, number)) + " " for number in PERSONNUMMER.values())
    told = " ".join(line for name, lines in TOLD.items() if "personnummer" in name for line in lines)
    assert "######" in told
    assert not any(digits[i:i + 4] in told for i in range(len(digits) - 4) if " " not in digits[i:i + 4])


def test_the_command_itself_leaves_with_one_message(command, region, tmp_path):
    (region / "listings.csv").unlink()
    done = command("evaluate", region, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: listings: the table is missing. ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["region"]


def test_a_missing_folder_is_named(command, tmp_path):
    done = command("check", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert len(done.stderr.splitlines()) == 1
