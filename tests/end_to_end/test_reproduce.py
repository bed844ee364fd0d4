"""A run again from its manifest; and the same bytes whatever order the rows come in."""

import csv
import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from engines import in_duckdb
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.reproduce import reproduce
from lakemedelsmodell.run import evaluate_run
from lakemedelsmodell.simulation import simulate

BYTES = ("results.json", "centres.csv", "amounts.csv", "contributions.csv", "coverage.csv")


@pytest.fixture(scope="module")
def made(command, tmp_path_factory):
    """The run of a cohort with settings of its own, and where it was made."""
    place = tmp_path_factory.mktemp("made")
    lines = ["person_id,centre_id,age,sex,months,cost,flag_sick"]
    for i in range(192):
        sick, sex, age = i % 4 == 0, "KM"[i // 4 % 2], 20 + 10 * (i // 8 % 3)
        lines.append(f"{i},{'ABCD'[i // 48]},{age},{sex},6,{600 * sick + i % 7 * 10},{str(sick).lower()}")
    (place / "cohort.csv").write_text("\n".join(lines) + "\n")
    (place / "settings.toml").write_text("resamples = 200\nbudget = 30000\n")
    done = command("evaluate", "--cohort", "cohort.csv", "--settings", "settings.toml", "--no-report", "--out", "run",
                   cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "settings.toml").unlink()  # what it said is in the manifest
    return place


@pytest.fixture
def cohort_run(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy" / "run"


def test_a_simulation_gives_the_same_bytes_again(command, tiny_run, tmp_path):
    copy = tmp_path / "handed_on"
    shutil.copytree(tiny_run, copy, ignore=shutil.ignore_patterns("data", "truth"))
    done = command("reproduce", copy, "--out", tmp_path / "again", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same bytes" in done.stdout
    assert (tmp_path / "again" / "report.sv.html").read_bytes() == (tiny_run / "report.sv.html").read_bytes()


def test_an_evaluation_is_made_again_from_another_place(command, cohort_run, tmp_path_factory):
    done = command("reproduce", cohort_run, cwd=tmp_path_factory.mktemp("elsewhere"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((cohort_run / "results.json").read_text())["totals"]["budget_sek"] == 30000


def test_a_changed_input_is_named(command, cohort_run, made):
    file = made / "cohort.csv"
    before = file.read_text()
    file.write_text(file.read_text().replace(",600,", ",601,"))
    done = command("reproduce", cohort_run)
    assert done.returncode == 1
    assert "Input: cohort.csv has changed" in done.stdout
    file.unlink()
    done = command("reproduce", cohort_run)
    assert done.returncode == 2
    assert "cohort.csv is not there" in done.stderr
    file.write_text(before)


def test_a_result_that_was_touched_is_told(command, cohort_run):
    rows = list(csv.reader((cohort_run / "centres.csv").open()))
    rows[1][4] = "1.00"
    with (cohort_run / "centres.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    done = command("reproduce", cohort_run)
    assert done.returncode == 1
    assert "centres.csv: as the run wrote it then, another file lies in the folder now" in done.stdout


def test_on_other_versions_numbers_may_differ_in_the_last_digits_only(command, cohort_run):
    from lakemedelsmodell.folders import file_hashes

    def pretend(factor):
        manifest = json.loads((cohort_run / "manifest.json").read_text())
        results = json.loads((cohort_run / "results.json").read_text())
        results["totals"]["cost_sek"] *= factor
        (cohort_run / "results.json").write_text(json.dumps(results))
        manifest["versions"]["numpy"] = "1.0"
        manifest["outputs"] |= {k: v for k, v in file_hashes(cohort_run).items() if k == "results.json"}
        (cohort_run / "manifest.json").write_text(json.dumps(manifest))
        return command("reproduce", cohort_run)

    close = pretend(1 + 1e-12)
    assert close.returncode == 0, close.stdout
    assert "numpy: 1.0 then" in close.stdout
    assert "the same numbers" in close.stdout
    far = pretend(1 + 1e-6)
    assert far.returncode == 1
    assert "results.json, totals.cost_sek:" in far.stdout


def test_what_is_no_run_cannot_be_made_again(command, tmp_path):
    done = command("reproduce", tmp_path)
    assert done.returncode == 2
    assert "cannot be run again" in done.stderr


@pytest.mark.parametrize(("key", "value"), [
    ("settings", None), ("settings", {"condition_set": "skane_wide", "resamples": -1}), ("langs", ["xx"]),
    ("inputs", []), ("inputs", {"cohort.csv": 1}), ("outputs", None), ("versions", "1.0"), ("data", "elsewhere.csv"),
    ("kind", "simulation"), ("manipulation", "gone"), ("seed", -1), ("directory", None)])
def test_a_manifest_touched_by_hand_is_no_fault(cohort_run, key, value):
    manifest = json.loads((cohort_run / "manifest.json").read_text())
    (cohort_run / "manifest.json").write_text(json.dumps(manifest | {key: value}))
    with pytest.raises(UserError, match="cannot be run again"):
        reproduce(cohort_run)


def test_a_world_of_another_version_is_no_fault(tiny_run, tmp_path):
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"scenario": {"name": "mine"}}))
    with pytest.raises(UserError, match="none this version can draw"):
        reproduce(tmp_path)


@pytest.fixture(scope="module")
def evaluated(command, tiny_run, tmp_path_factory):
    """The run of a folder of Parquet files, and where it was made."""
    place = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(tiny_run / "data", place / "data")
    done = command("evaluate", "data", "--no-report", "--out", "run", cwd=place)
    assert done.returncode == 0, done.stderr
    return place


def test_a_run_of_files_is_made_again_and_a_changed_or_added_part_is_named(command, evaluated, tmp_path):
    done = command("reproduce", evaluated / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same bytes" in done.stdout
    centres, more = evaluated / "data" / "centres.parquet", evaluated / "data" / "base_drugs.csv"
    before = centres.read_bytes()
    pd.read_parquet(centres).iloc[::-1].to_parquet(centres, index=False)
    more.write_text("atc\nA10\n")
    done = command("reproduce", evaluated / "run")
    centres.write_bytes(before)
    more.unlink()
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Input: ")] == [
        "data/base_drugs.csv", "data/centres.parquet"]


def test_a_run_of_sums_is_made_again_and_a_changed_sum_is_named(command, tmp_path):
    rows = [f"{c},{100 * (k + 2)},{9000 * (k + 2) + 400 * k * k},{40 * (k + 2) + 3 * k},{60 * (k + 2) - 3 * k}"
            for k, c in enumerate("ABCDEFGH")]
    file = tmp_path / "sums.csv"
    file.write_text("\n".join(["centre_id,months,cost,age_sex_old,age_sex_young", *rows]) + "\n")
    done = command("evaluate", "--totals", "sums.csv", "--no-report", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("reproduce", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text(file.read_text().replace(",18000,", ",18001,"))
    done = command("reproduce", tmp_path / "run")
    assert (done.returncode, "Input: sums.csv has changed" in done.stdout) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("reduce", ["cohort", "totals"])
def test_a_run_of_a_database_is_made_again(command, tiny_run, tmp_path, reduce):
    data = tiny_run / "data"
    if reduce == "totals":  # sums per centre set no more amounts than there are centres
        simulate(scale=0.02, centres=80).write(data := tmp_path / "data", tmp_path / "truth")
    tables = {path.stem: pq.read_table(path) for path in data.glob("*.parquet")}
    url = in_duckdb(tmp_path / "region.duckdb", tables)
    done = command("evaluate", "--source", url, "--reduce", reduce, "--no-report", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    done = command("reproduce", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_thread_or_several_give_the_same_bytes(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr("lakemedelsmodell.data.threads.MOST", 1)
    alone = evaluate_run(evaluated / "data", out=tmp_path / "alone").folder
    for name in BYTES:
        assert (alone / name).read_bytes() == (evaluated / "run" / name).read_bytes(), name


def test_any_order_of_rows_and_centres_and_any_parts_give_the_same_bytes(command, tiny_run, evaluated, tmp_path):
    mixed = tmp_path / "data"
    mixed.mkdir()
    for name in ("centres", "persons", "listings", "dispensings"):
        frame = pd.read_parquet(tiny_run / "data" / f"{name}.parquet").sample(frac=1, random_state=3)
        if name == "dispensings":
            (mixed / name).mkdir()
            for part, start in enumerate((0, 17, len(frame) // 3)):
                end = (17, len(frame) // 3, len(frame))[part]
                frame.iloc[start:end].to_parquet(mixed / name / f"{'zay'[part]}.parquet", index=False)
        else:
            frame.to_parquet(mixed / f"{name}.parquet", index=False)
    done = command("evaluate", mixed, "--no-report", "--out", tmp_path / "mixed")
    assert done.returncode == 0, done.stderr
    for name in BYTES:
        assert (evaluated / "run" / name).read_bytes() == (tmp_path / "mixed" / name).read_bytes(), name
