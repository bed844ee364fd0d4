"""The README is true: its examples say what the commands say, its two commands are there."""

import re
import shlex
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\$ python -m lakemedelsmodell (.*)\n((?:(?!\$ |```).*\n)*)", README, re.MULTILINE)


def test_the_examples_of_johan_and_anders_are_what_explain_says(command):
    assert len(EXAMPLES) == 2
    for arguments, shown in EXAMPLES:
        done = command(*shlex.split(arguments))
        assert done.returncode == 0, done.stderr
        assert shown == done.stdout


def test_every_file_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if not (Path(__file__).resolve().parents[2] / link).exists()]
    assert not missing
