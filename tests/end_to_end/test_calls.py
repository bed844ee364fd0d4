"""A wrong call is answered with what would be right, and exit code 2; help is instant."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("table", "explain", "publish", "pay", "sql", "simulate", "evaluate", "flags", "check", "study",
            "manipulate", "audit")


def test_version(command):
    assert command("--version").stdout.startswith("lakemedelsmodell 0.")


def test_help_names_every_command_and_loads_nothing_heavy():
    ask = ("import sys; from lakemedelsmodell.cli import main; sys.argv[1:] = ['--help']\n"
           "try: main()\n"
           "except SystemExit: pass\n"
           "print(sorted({'numpy', 'pandas', 'scipy', 'sklearn', 'duckdb', 'ibis'} & set(sys.modules)))")
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert all(name in said for name in COMMANDS)
    assert said.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(command, name):
    done = command(name, "--help")
    assert done.returncode == 0
    assert f"python -m lakemedelsmodell {name}" in done.stdout.replace("\n", " ")
    assert "Example:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table", "--year", "2019"], "2025, 2026"),
        (["simulate", "skane_2026h2"], "skane_2026h1"),
        (["simulate", "--scale", "0"], "scale 0 "),
        (["simulate", "--scale", "nan"], "scale nan "),
        (["evaluate"], "--cohort"),
        (["evaluate", "here", "--cohort", "there"], "one of"),
        (["evaluate", "here", "--settings", "nowhere.toml"], "nowhere.toml"),
        (["evaluate", "here", "--period", "spring"], "2026-01..2026-06"),
        (["evaluate", "here", "--period", "2026-01..9999-12"], "2026-01..2026-06"),
        (["pay", "amounts.csv", "here", "--month", "9999-12", "--out", "paid"], "2027-01"),
        (["flags", "here", "--conditions", "skane_wid", "--out", "flags.csv"], "skane_wide"),
        (["flags", "here", "--conditions", "skane_wide", "--out", "flags.doc"], ".csv or .parquet"),
        (["flags", "here", "--conditions", "skane_wide", "--out", "flags.csv", "--from", "1 maj"], "2025-01-31"),
        (["explain", "--age", "60", "--sex", "M", "--condition", "diabetes_orl"], "diabetes_oral"),
        (["explain", "--age", "60", "--sex", "M", "--model", "cronic"], "chronic"),
        (["explain", "--age", "60", "--sex", "M", "--amounts", "nowhere.csv"], "nowhere.csv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_answered_with_what_would_be_right(command, tmp_path, arguments, said):
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("year", [2025, 2026])
def test_the_published_table_as_csv_and_json(command, year):
    rows = list(csv.DictReader(io.StringIO(command("table", "--year", year, "--format", "csv").stdout)))
    assert list(rows[0]) == ["year", "sex", "age_from", "age_to", "sek_per_month"]
    assert len(rows) == 42
    assert {row["sex"] for row in rows} == {"K", "M"}
    assert [row["age_to"] for row in rows if row["age_from"] == "100"] == ["", ""]
    told = json.loads(command("table", "--year", year, "--format", "json").stdout)
    assert [str(row["sek_per_month"]) for row in told] == [row["sek_per_month"] for row in rows]


def test_the_published_table_as_text_names_its_source(command):
    text = command("table").stdout
    assert "2026" in text.splitlines()[0]
    assert "Region Skåne" in text.splitlines()[-1]


def test_a_folder_that_no_run_wrote_is_left_alone(command, tmp_path):
    (tmp_path / "thesis.txt").write_text("two years of work")
    done = command("simulate", "--scale", "0.01", "--centres", "3", "--out", tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "two years of work"


def test_a_sign_that_an_encoding_lacks_is_no_fault(command, monkeypatch):
    """As φ and − lack in cp1252, which Windows writes into files and pipes."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = command("explain", "--age", "60", "--sex", "M", "--condition", "diabetes_oral", "--lang", "sv")
    assert done.returncode == 0, done.stderr
    assert "kr per listad m?nad" in done.stdout


def test_a_file_is_not_written_over_a_folder_and_nothing_stays_beside(command, tiny_run, tmp_path):
    (tmp_path / "out.sql").mkdir()
    out = tmp_path / "out.sql"
    done = command("sql", tiny_run / "amounts.csv", "--dialect", "tsql", "--month", "2026-06", "--out", out)
    assert (done.returncode, done.stderr) == (2, f"error: {out} is a folder. Name a file with --out.\n")
    assert [p.name for p in tmp_path.iterdir()] == ["out.sql"]


def test_nobody_need_listen(tmp_path):
    """A service may start a command with its output closed."""
    call = f'"{sys.executable}" -m lakemedelsmodell check nowhere'
    done = subprocess.run(f"{call} 2>&-; echo $?; {call} >&- 2>&-; echo $?", shell=True, cwd=tmp_path, text=True,
                          capture_output=True, check=False)
    assert done.stdout.split() == ["2", "2"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_in_another_encoding_is_said_so(tmp_path):
    folder = os.fsencode(tmp_path) + b"/Sk\xe5ne"
    Path(os.fsdecode(folder)).mkdir()
    done = subprocess.run([sys.executable, "-m", "lakemedelsmodell", "check", folder], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: The name of a file or folder is not in this system's encoding, utf-8. Rename")


def test_a_fault_of_the_program_s_is_told_without_personal_numbers(monkeypatch, capsys):
    """Libraries put the value they met into what they raise."""
    from lakemedelsmodell import cli

    def broken():
        raise ValueError("could not convert '19600105-1231' or 196001051231")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr().err
    assert left.value.code == 3
    assert "in broken" in said
    assert "'########-####' or ############" in said
    assert "1231" not in said
