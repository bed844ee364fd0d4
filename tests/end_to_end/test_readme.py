"""The README is true: its examples say what the commands say, its two commands are there."""

import json
import re
import shlex
from pathlib import Path

from lakemedelsmodell.cli.printing import summary

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\$ python -m lakemedelsmodell (.*)\n((?:(?!\$ |```).*\n)*)", README, re.MULTILINE)


def test_the_examples_of_johan_and_anders_are_what_explain_says(command):
    assert len(EXAMPLES) == 2
    for arguments, shown in EXAMPLES:
        done = command(*shlex.split(arguments))
        assert done.returncode == 0, done.stderr
        assert shown == done.stdout


def test_every_file_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if not (PROJECT / link).exists()]
    assert not missing


def test_the_result_shown_is_that_of_the_reference_run():
    reference = PROJECT / "reports" / "skane_2026h1"
    said = summary(json.loads((reference / "results.json").read_text(encoding="utf-8")))
    assert f"<!-- result -->\n```\n{said}\n```\n<!-- /result -->" in README, "run reports/refresh.py"
    packaged = PROJECT / "src" / "lakemedelsmodell" / "facts" / "reference_amounts.csv"
    assert packaged.read_bytes() == (reference / "amounts.csv").read_bytes()
