"""The verdict with manipulation played: beside a run, in an evaluation of the same data, in a study of the world."""

import json

import pytest

from lakemedelsmodell.manipulation.origin import findings_in_worlds
from lakemedelsmodell.simulation import load_scenario
from small_region import DESIGNS

FEW = ("--strategies", "1,2", "--effort", "0.1", "--designs")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def clauses(verdict):
    return {clause["name"]: clause for clause in verdict["clauses"]}


@pytest.fixture(scope="module")
def played(command, tiny_run, tmp_path_factory):
    place = tmp_path_factory.mktemp("played")
    folder, designs = place / "tiny_manipulated", place / "designs.toml"
    designs.write_text(DESIGNS, encoding="utf-8")
    done = command("manipulate", tiny_run, *FEW, designs, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_play_beside_a_run_completes_its_verdict(tiny_run, played):
    folder, said = played
    found, before = read(folder / "verdict.json"), read(tiny_run / "results.json")["verdict"]
    assert {k: v for k, v in clauses(found).items() if k != "manipulation"} == {
        k: v for k, v in clauses(before).items() if k != "manipulation"}
    clause, of = clauses(found)["manipulation"], read(folder / "manipulation.json")["clause"]
    assert (clause["holds"], clause["number"], clause["unit"]) == (
        of["non_dominated"], of["worst_gain"], "SEK per listed month")
    assert clauses(before)["manipulation"]["holds"] is None
    assert "Verdict on the run" in said


def test_play_tells_its_data_and_its_world(tiny_run, played):
    told, run = read(played[0] / "manipulation.json"), read(tiny_run / "results.json")["run"]
    assert {k: told[k] for k in ("content_hash", "scenario", "seed", "scale")} == {
        k: run[k] for k in ("content_hash", "scenario", "seed", "scale")}
    world = load_scenario("skane_2026h1")
    found = findings_in_worlds([played[0]], [world])["skane_2026h1"]
    assert found.worst_gain == told["clause"]["worst_gain"]
    assert found.detail.endswith("; one draw, seed 1, scale 0.02")


def test_an_evaluation_of_the_same_data_takes_it_and_can_be_made_again(command, tiny_run, played, tmp_path):
    data, out = tiny_run / "data", tmp_path / "again"
    done = command("evaluate", data, "--manipulation", played[0] / "manipulation.json", "--no-report", "--out", out)
    assert done.returncode == 0, done.stderr
    clause = clauses(read(out / "results.json")["verdict"])["manipulation"]
    assert clause == clauses(read(played[0] / "verdict.json"))["manipulation"]
    again = command("reproduce", out)
    assert again.returncode == 0, again.stdout + again.stderr


def test_play_on_other_data_or_in_another_world_or_version_is_refused(command, tiny_run, region, played, tmp_path):
    file = tmp_path / "manipulation.json"
    told = read(played[0] / "manipulation.json")

    def refused(*arguments):
        done = command(*arguments, "--manipulation", file, "--out", tmp_path / "out")
        assert done.returncode == 2, done.stderr
        assert not (tmp_path / "out").exists()
        return " ".join(done.stderr.split())

    file.write_text(json.dumps(told), encoding="utf-8")
    said = refused("evaluate", region)
    assert f"played on other data ({told['content_hash'][:12]}…) than these (" in said
    said = refused("study", "random_lists", "--scale", "0.005")
    assert f"played in the world skane_2026h1 ({told['scenario_hash'][:12]}…), but the study is of random_lists" in said
    assert "--manipulation goes with DATA" in refused("evaluate", "--totals", file)
    file.write_text(json.dumps(told | {"versions": {"lakemedelsmodell": "0.0.1"}}), encoding="utf-8")
    assert "played by version 0.0.1, but this is" in refused("evaluate", tiny_run)
    file.write_text("{}", encoding="utf-8")
    assert "is no manipulation.json" in refused("study", "skane_2026h1", "--scale", "0.005")
