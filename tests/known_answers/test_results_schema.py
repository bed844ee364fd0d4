"""results.json is as its JSON Schema says, and every key of it is in the documentation."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lakemedelsmodell.errors import DataError
from lakemedelsmodell.evaluation import read_results, results_schema
from lakemedelsmodell.evaluation.schema import check_results, departures

PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT / "tests" / "samples" / "results_schema_1.json"
"""Results of a simulation, with most of its lists cut short."""


@pytest.fixture
def sample() -> dict[str, Any]:
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(results_schema())


def test_results_of_schema_1_are_read(tmp_path):
    (tmp_path / "results.json").write_bytes(SAMPLE.read_bytes())

    assert read_results(tmp_path)["models"]["chronic"]["phi"] > 0


def test_the_reference_report_is_of_the_schema():
    for file in sorted((PROJECT / "reports").glob("*/results.json")):
        assert departures(json.loads(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("spoil, place", [
    (lambda r: r.update(extra=1), "$"),
    (lambda r: r.pop("totals"), "$"),
    (lambda r: r.update(schema=2), "$.schema"),
    (lambda r: r["models"]["chronic"].update(phi="0.9"), "$.models.chronic.phi"),
    (lambda r: r["models"]["chronic"]["spread"].update(new=1.0), "$.models.chronic.spread"),
    (lambda r: r["contrasts"][0].pop("ci_low"), "$.contrasts[0]"),
    (lambda r: r["verdict"].update(decision="maybe"), "$.verdict.decision"),
])
def test_what_departs_from_it_is_told_by_its_place(sample, tmp_path, spoil, place: str):
    spoil(sample)

    assert [where for where, _ in departures(sample)] == [place]
    judge = Draft202012Validator(results_schema())
    assert [error.json_path for error in judge.iter_errors(sample)] == [place]
    with pytest.raises(ValueError, match=re.escape(place)):
        check_results(sample)
    (tmp_path / "results.json").write_text(json.dumps(sample), encoding="utf-8")
    with pytest.raises(DataError, match="results.json"):
        read_results(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null", "[" * 100_000, "[" * 900 + "]" * 900,
                                     r'{"\ud800": 1}'], ids=range(8))
def test_a_missing_or_damaged_file_is_one_clear_error(tmp_path, content: str | None):
    if content is not None:
        (tmp_path / "results.json").write_text(content, encoding="utf-8")

    with pytest.raises(DataError, match="results.json"):
        read_results(tmp_path)


def test_checking_a_run_loads_no_grammar():
    """The reference validator builds one of IRIs on import, seconds in every run."""
    code = ("import json, sys; from lakemedelsmodell.evaluation.schema import check_results; "
            f"check_results(json.load(open({str(SAMPLE)!r}, encoding='utf-8'))); "
            "assert not {'jsonschema', 'rfc3987_syntax'} & sys.modules.keys()")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_key_is_documented():
    text = (PROJECT / "docs" / "results.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`([a-z0-9_]+)`", text))

    assert _keys(results_schema()) - said == set()


def test_every_key_of_the_schema_is_in_the_sample(sample):
    """So that the sample stays a reading of the whole schema."""
    found = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(copy.deepcopy(sample))
    assert _keys(results_schema()) - found == set()


def _keys(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_keys, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = set(node["properties"]) if isinstance(node.get("properties"), dict) else set()
    return own.union(*map(_keys, node.values())) if node else own
