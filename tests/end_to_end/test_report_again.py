"""``report``: a run's report once more, with what manipulation came to; the run itself stays as it was."""

import json

import pytest

from lakemedelsmodell.folders import file_hashes
from small_region import DESIGNS


@pytest.fixture(scope="module")
def played(command, tiny_run, tmp_path_factory):
    place = tmp_path_factory.mktemp("again")
    (place / "designs.toml").write_text(DESIGNS, encoding="utf-8")
    done = command("manipulate", tiny_run, "--strategies", "1", "--effort", "0.1", "--designs", place / "designs.toml",
                   "--out", place / "played")
    assert done.returncode == 0, done.stderr
    return place / "played"


def test_the_report_takes_in_what_was_played(command, tiny_run, played, tmp_path):
    before = file_hashes(tiny_run)
    done = command("report", tiny_run, "--manipulation", played, "--out", tmp_path / "told")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "told" / f"report.{lang}.html") for lang in ("sv", "en")]
    assert {p.name for p in (tmp_path / "told").iterdir()} == {
        "report.sv.html", "report.en.html", "page.sv.html", "page.en.html", "results.xlsx", "manifest.json"}
    page = (tmp_path / "told" / "report.en.html").read_text("utf-8")
    clauses = json.loads((played / "verdict.json").read_text("utf-8"))["clauses"]
    gain = next(c["number"] for c in clauses if c["name"] == "manipulation")
    assert 'id="frontier"' in page and f"<td>{gain:.1f}</td>".replace("-", "−") in page
    assert 'id="frontier"' not in (tiny_run / "report.en.html").read_text("utf-8")
    assert file_hashes(tiny_run) == before

    plain = command("report", tiny_run, "--lang", "en", "--out", tmp_path / "plain")
    assert plain.returncode == 0 and (tmp_path / "plain" / "report.en.html").read_bytes() == (
        tiny_run / "report.en.html").read_bytes()


@pytest.mark.parametrize("wrong, says", [
    (("--manipulation", "nowhere"), "holds no manipulation.json"), (("--lang", "fi"), "fi")])
def test_a_wrong_call_is_one_message_and_nothing_is_written(command, tiny_run, tmp_path, wrong, says):
    done = command("report", tiny_run, *wrong, "--out", tmp_path / "told")
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "told").exists()


def test_the_run_is_not_written_over(command, tiny_run):
    done = command("report", tiny_run, "--out", tiny_run)
    assert done.returncode == 2 and "Choose another folder" in done.stderr
