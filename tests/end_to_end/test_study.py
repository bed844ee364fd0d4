"""Studies as a user runs them."""

import csv
import json
import shutil
from importlib.metadata import version

import pytest

from lakemedelsmodell.manipulation.origin import origin_of_world
from lakemedelsmodell.privacy import check_anonymity
from lakemedelsmodell.simulation import load_scenario

SMALL = ("--scale", "0.005", "--replicates", "2")


@pytest.fixture(scope="module")
def studied(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "two"
    done = command("study", "random_lists", "flags_misclassified", *SMALL, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_study_prints_each_clause_with_its_number(studied):
    _, said = studied
    assert "random_lists: undecided (rule 2026-11)" in said
    assert "flags_misclassified: against" in said
    assert said.count("chronic brings centres closer than age_sex: upper 95 % limit of Δ: ") == 2
    assert "manipulation has not been played" in said


def test_a_study_s_folder_holds_it_whole(studied):
    folder, _ = studied
    assert {p.name for p in folder.iterdir()} == {"study.json", "study.csv", "spread.svg", "truth.svg", "manifest.json",
                                                  "replicates"}
    assert len(list((folder / "replicates").iterdir())) == 4
    results = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert results["schema"] == 1
    verdict = results["worlds"]["random_lists"]["verdict"]
    assert {c["name"]: c["holds"] for c in verdict["clauses"]}["pass_through"] is None
    assert results["worlds"]["random_lists"]["measures"]["chronic"]["pass_through"] == {"mean": None, "mcse": None}
    with (folder / "study.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"world", "model", "measure", "value", "mcse", "replicates"}
    assert {row["world"] for row in rows} == {"random_lists", "flags_misclassified"}
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["finished"] is True


def test_a_study_takes_what_was_played_in_one_of_its_worlds(command, studied, tmp_path):
    folder = tmp_path / "two"
    shutil.copytree(studied[0], folder)
    played = {"clause": {"model": "chronic_defended", "non_dominated": True, "worst_gain": 4.5, "rmse_change": None,
                         "detail": "design low_pool"},
              "versions": {"lakemedelsmodell": version("lakemedelsmodell")},
              **origin_of_world(load_scenario("random_lists"), 3, 0.05)}
    (tmp_path / "manipulation.json").write_text(json.dumps(played), encoding="utf-8")
    done = command("study", "random_lists", "flags_misclassified", *SMALL, "--manipulation", tmp_path, "--out", folder)
    assert done.returncode == 0, done.stderr
    worlds = json.loads((folder / "study.json").read_text(encoding="utf-8"))["worlds"]
    found = {name: of["verdict"]["clauses"][-1] for name, of in worlds.items()}
    assert (found["random_lists"]["holds"], found["random_lists"]["number"]) == (True, 4.5)
    assert found["random_lists"]["detail"] == "design low_pool; one draw, seed 3, scale 0.05"
    assert found["flags_misclassified"]["holds"] is None


def test_one_worker_or_two_write_the_same_study(command, studied, tmp_path):
    done = command("study", "random_lists", "flags_misclassified", *SMALL, "--workers", "1", "--out", tmp_path / "one")
    assert done.returncode == 0, done.stderr
    one, two = ({p.relative_to(folder): timeless(p) for p in folder.rglob("*.*")} for folder in (tmp_path / "one",
                                                                                                 studied[0]))
    assert one == two


def timeless(path):
    """A file's content; of JSON without the command, and the time and place."""
    if path.suffix != ".json":
        return path.read_bytes()
    found = json.loads(path.read_text(encoding="utf-8"))
    hashed = {name: of for name, of in found.get("outputs", {}).items() if not name.startswith("replicates/")}
    return {k: v for k, v in found.items() if k not in ("seconds", "command", "started", "machine")} | (
        {"outputs": hashed} if hashed else {})


def test_a_study_tells_of_no_few_persons_but_in_its_draws_whose_persons_are_invented(studied):
    assert {problem.file.split("/")[0] for problem in check_anonymity(studied[0])} <= {"replicates"}


def test_a_study_goes_on_where_it_stopped_and_comes_to_the_same(command, studied, tmp_path):
    folder, _ = studied
    kept = sorted((folder / "replicates").iterdir())
    once = {name: (folder / name).read_bytes() for name in ("study.json", "study.csv", "spread.svg", "truth.svg")}
    stamps = {p: p.stat().st_mtime_ns for p in kept[1:]}
    kept[0].unlink()
    (folder / "study.json").unlink()  # as if it had been broken off
    done = command("study", "random_lists", "flags_misclassified", *SMALL, "--workers", "1", "--out", folder)
    assert done.returncode == 0, done.stderr
    assert {p: p.stat().st_mtime_ns for p in kept[1:]} == stamps
    assert {name: (folder / name).read_bytes() for name in once} == once


def test_a_grid_maps_a_world(command, tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text('world = "skane_2026h1"\npoints = 4\nlevels = 2\ncentres = 20\n[[dimension]]\nname = "tail"\n'
                    'path = "prescribing.tail"\nlow = 0.6\nhigh = 1.4\n', encoding="utf-8")
    out = tmp_path / "out"
    done = command("study", "--grid", grid, "--scale", "0.01", "--replicates", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "0.6 to 1.4" in done.stdout
    with (out / "grid.csv").open(encoding="utf-8") as file:
        assert [row["design"] for row in csv.DictReader(file)] == ["latin_hypercube"] * 4 + ["one_at_a_time"] * 2
    assert (out / "grid.svg").read_text(encoding="utf-8").startswith("<?xml")
    with (out / "flips.csv").open(encoding="utf-8") as file:
        measures = {row["measure"] for row in csv.DictReader(file)}
    assert measures >= {"log_sd_ratio", "rmse_change", "pass_through_change"}


@pytest.mark.parametrize(("arguments", "said"), [
    (["study"], "--grid FILE"),
    (["study", "random_list"], "random_lists"),
    (["study", "random_lists", "--scale", "0"], "scale 0 "),
    (["study", "random_lists", "--scale", "0.0001"], "centres without persons"),
    (["study", "random_lists", "--rule", "nowhere.toml"], "nowhere.toml"),
    (["study", "--grid", "nowhere.toml"], "nowhere.toml"),
    (["study", "random_lists", "random_lists"], "given twice"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_wrong_call_is_answered_with_what_would_be_right(command, tmp_path, arguments, said):
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_bad_grids_and_rules_are_bad_data(command, tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text('world = "skane_2026h1"\npoints = 1\n', encoding="utf-8")
    done = command("study", "--grid", grid, cwd=tmp_path)
    assert (done.returncode, "dimension" in done.stderr) == (1, True)
    done = command("study", "random_lists", "--rule", grid, cwd=tmp_path)
    assert (done.returncode, "spread" in done.stderr) == (1, True)


def test_a_folder_of_something_else_is_left_alone(command, tiny_run, tmp_path):
    before = sorted(tiny_run.rglob("*"))
    done = command("study", "random_lists", *SMALL, "--out", tiny_run)
    assert done.returncode == 2
    assert "was not written by a study" in done.stderr
    assert sorted(tiny_run.rglob("*")) == before
