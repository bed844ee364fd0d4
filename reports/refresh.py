"""Make the reference report and take it into the project: the report, its tables and pages, the gallery, the README.

    python reports/refresh.py

simulates the default world at full size, plays manipulation on it and takes in what comes of it (about half an hour of
two cores). ``python reports/refresh.py runs/skane_2026h1`` takes in a run that lies there already, and with ``--check``
before the folder only says whether the run gives the numbers of the committed reference. Nothing of persons is copied.
Run it after a change that moves results; the tests hold the README to what it writes, and
simulations/skane_2026h1.expected.csv holds the numbers at a smaller scale.
"""

from __future__ import annotations

import html
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lakemedelsmodell.cli.printing import summary
from lakemedelsmodell.folders import to_json
from lakemedelsmodell.report import write_reports

PROJECT = Path(__file__).resolve().parents[1]
REFERENCE = PROJECT / "reports" / "skane_2026h1"
GALLERY, IMAGES = PROJECT / "docs" / "gallery.md", PROJECT / "docs" / "images"
TABLES = ("results.json", "results.xlsx", "centres.csv", "amounts.csv", "contributions.csv", "coverage.csv",
          "calibration.json", "manifest.json")
EXAMPLE = re.compile(r"^\$ python -m lakemedelsmodell (.*)\n(?:(?!\$ |```).*\n)*", re.MULTILINE)
RESULT = re.compile(r"(?<=<!-- result -->\n).*?(?=<!-- /result -->)", re.DOTALL)
FIGURE = re.compile(r'<figure id="(?P<ident>[^"]+)">\s*<div role="img" aria-label="(?P<alt>[^"]*)">'
                    r'<div class="on-page">'
                    r"(?P<svg><svg.*?</svg>)</div>.*?<figcaption>(?P<caption>.*?)</figcaption>", re.DOTALL)


def command(*arguments: str) -> str:
    """What a command prints."""
    call = [sys.executable, "-m", "lakemedelsmodell", *arguments]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout


def made() -> Path:
    """A run of the default world at full size, with manipulation played on it."""
    run = PROJECT / "runs" / "skane_2026h1"
    command("simulate", "skane_2026h1", "--out", str(run))
    command("manipulate", "skane_2026h1", "--out", str(run.with_name(f"{run.name}_manipulated")))
    write_reports(run)
    return run


def gallery(run: Path) -> None:
    """docs/gallery.md and its pictures: every figure of the English report with its caption."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))["run"]
    page = (run / "report.en.html").read_text(encoding="utf-8")
    said = ["# Gallery", "",
            "Every figure of the report, in one look: today's model is always amber and hollow, the proposal blue and "
            "filled, so that they can be told apart by colour-blind readers and in greyscale print. Each is a function "
            "of `lakemedelsmodell.report.figures` that draws on a matplotlib Axes and returns it.", "",
            f"Drawn from a simulated run: scenario `{results['scenario']}`, seed {results['seed']}, scale "
            f"{results['scale']:g}. Written by `reports/refresh.py`.", ""]
    for figure in FIGURE.finditer(page):
        name = figure["ident"].replace("-", "_")
        alone = figure["svg"].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        (IMAGES / f"{name}.svg").write_text(alone + "\n", encoding="utf-8")
        title = figure["ident"].replace("-", " ").capitalize()
        said += [f"## {title}", "", f"![{html.unescape(figure['alt'])}](images/{name}.svg)", "",
                 html.unescape(figure["caption"]), ""]
    GALLERY.write_text("\n".join(said), encoding="utf-8")


def main(run: Path) -> None:
    REFERENCE.mkdir(exist_ok=True)
    for file in (*(run / name for name in TABLES if (run / name).is_file()), *run.glob("report.*.html"),
                 *run.glob("page.*.html")):
        shutil.copy(file, REFERENCE)
    manifest = REFERENCE / "manifest.json"
    told = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(to_json({**told, "directory": "."}), encoding="utf-8")  # no path of the machine it was made on
    shutil.copy(run / "amounts.csv", PROJECT / "src" / "lakemedelsmodell" / "facts" / "reference_amounts.csv")
    frontier = run.with_name(f"{run.name}_manipulated") / "frontier.csv"
    if frontier.is_file():  # what the default design is held to
        shutil.copy(frontier, PROJECT / "simulations" / f"{run.name}.frontier.csv")
    gallery(run)
    shutil.copy(IMAGES / "all_centres.svg", IMAGES / "net_by_centre.svg")

    readme = PROJECT / "README.md"
    text = readme.read_text(encoding="utf-8")
    said = summary(json.loads((run / "results.json").read_text(encoding="utf-8")))
    text = RESULT.sub(lambda _: f"```\n{said}\n```\n", text)
    text = EXAMPLE.sub(lambda m: f"$ python -m lakemedelsmodell {m[1]}\n{command(*shlex.split(m[1]))}", text)
    readme.write_text(text, encoding="utf-8")


def apart(then: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where two trees of results are not the same, numbers to 1e-9 (another machine may add up in another order)."""
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
        for key in then:
            yield from apart(then[key], now[key], f"{place}.{key}")
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, two) in enumerate(zip(then, now, strict=True)):
            yield from apart(one, two, f"{place}[{number}]")
    elif isinstance(then, float) and isinstance(now, float):
        if not math.isclose(then, now, rel_tol=1e-9, abs_tol=1e-9):
            yield f"{place}: {then} in the reference, {now} now"
    elif then != now:
        yield f"{place}: {str(then)[:80]} in the reference, {str(now)[:80]} now"


def check(run: Path) -> None:
    """Leave with an error where a run does not give the committed reference."""
    then, now = (json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in (REFERENCE, run))
    for results in (then, now):
        results["run"].pop("versions")
    if different := list(apart(then, now)):
        sys.exit("\n".join([f"{len(different)} differences from {REFERENCE.relative_to(PROJECT)}:", *different[:20]]))
    print(f"{run} gives the numbers of {REFERENCE.relative_to(PROJECT)}.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else made())
