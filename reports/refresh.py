"""Take a full-size run into the project: the reference report, the amounts `explain` shows, and the README.

    python -m lakemedelsmodell simulate
    python reports/refresh.py runs/skane_2026h1

Nothing person-level is copied. Run it after a change that moves results; the tests hold the README to what it writes.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from lakemedelsmodell.cli.printing import summary

PROJECT = Path(__file__).resolve().parents[1]
REFERENCE = PROJECT / "reports" / "skane_2026h1"
TABLES = ("results.json", "centres.csv", "amounts.csv", "calibration.json", "manifest.json")
EXAMPLE = re.compile(r"^\$ python -m lakemedelsmodell (.*)\n(?:(?!\$ |```).*\n)*", re.MULTILINE)
RESULT = re.compile(r"(?<=<!-- result -->\n).*?(?=<!-- /result -->)", re.DOTALL)


def command(*arguments: str) -> str:
    """What a command prints."""
    call = [sys.executable, "-m", "lakemedelsmodell", *arguments]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout


def main(run: Path) -> None:
    REFERENCE.mkdir(exist_ok=True)
    for file in (*(run / name for name in TABLES), *run.glob("report.*.html")):
        shutil.copy(file, REFERENCE)
    shutil.copy(run / "amounts.csv", PROJECT / "src" / "lakemedelsmodell" / "facts" / "reference_amounts.csv")

    picture = re.search(r"<svg.*?</svg>", (run / "report.en.html").read_text(encoding="utf-8"), re.DOTALL)
    assert picture is not None
    alone = picture[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    (PROJECT / "docs" / "images" / "net_by_centre.svg").write_text(alone + "\n", encoding="utf-8")

    readme = PROJECT / "README.md"
    text = readme.read_text(encoding="utf-8")
    said = summary(json.loads((run / "results.json").read_text(encoding="utf-8")))
    text = RESULT.sub(lambda _: f"```\n{said}\n```\n", text)
    text = EXAMPLE.sub(lambda m: f"$ python -m lakemedelsmodell {m[1]}\n{command(*shlex.split(m[1]))}", text)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
