"""Make the reference report and take it into the project: the report, its tables and pages, the gallery, the README.

    python reports/refresh.py

simulates the default world at full size, plays manipulation on it, writes its report and takes in what comes of it
(some three minutes on two cores). Nothing of persons is copied. Run it after a change that moves results; the tests
hold the README to what it writes, and simulations/skane_2026h1.expected.csv holds the numbers at a smaller scale.

    python reports/refresh.py --scale 0.02 --out trial

tries the same on a smaller region and writes into the folder trial instead of the project.

    python reports/refresh.py --run runs/skane_2026h1

takes in a run that lies there already with skane_2026h1_manipulated beside it, and

    python reports/refresh.py --check runs/skane_2026h1

only says whether a run gives the numbers of the committed reference.
"""

from __future__ import annotations

import argparse
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

PROJECT = Path(__file__).resolve().parents[1]
NAME = "skane_2026h1"
REFERENCE = PROJECT / "reports" / NAME
TABLES = ("results.json", "centres.csv", "amounts.csv", "contributions.csv", "coverage.csv", "calibration.json",
          "manifest.json")
EXAMPLE = re.compile(r"^\$ python -m lakemedelsmodell (.*)\n(?:(?!\$ |```).*\n)*", re.MULTILINE)
RESULT = re.compile(r"(?<=<!-- result -->\n).*?(?=<!-- /result -->)", re.DOTALL)
FIGURE = re.compile(r'<figure id="(?P<ident>[^"]+)">\s*<div role="img" aria-label="(?P<alt>[^"]*)">'
                    r'<div class="on-page">'
                    r"(?P<svg><svg.*?</svg>)</div>.*?<figcaption>(?P<caption>.*?)</figcaption>", re.DOTALL)


def command(*arguments: str) -> str:
    """What a command prints."""
    call = [sys.executable, "-m", "lakemedelsmodell", *arguments]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout


def beside(run: Path, what: str) -> Path:
    return run.with_name(f"{run.name}_{what}")


def made(run: Path, scale: float) -> None:
    """A run of the default world, and what manipulation came to on its data."""
    command("simulate", NAME, "--scale", str(scale), "--no-report", "--out", str(run))
    command("manipulate", str(run), "--out", str(beside(run, "manipulated")))


def gallery(page: Path, told: dict[str, Any], project: Path) -> None:
    """docs/gallery.md and its pictures: every figure of the English report with its caption."""
    images = project / "docs" / "images"
    said = ["# Gallery", "",
            "Every figure of the report, in one look: today's model is always amber and hollow, the proposal blue and "
            "filled, so that they can be told apart by colour-blind readers and in greyscale print. Each is a function "
            "of `lakemedelsmodell.report.figures` that draws on a matplotlib Axes and returns it.", "",
            f"Drawn from a simulated run: scenario `{told['scenario']}`, seed {told['seed']}, scale "
            f"{told['scale']:g}. Written by `reports/refresh.py`.", ""]
    for figure in FIGURE.finditer(page.read_text(encoding="utf-8")):
        name = figure["ident"].replace("-", "_")
        alone = figure["svg"].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        (images / f"{name}.svg").write_text(alone + "\n", encoding="utf-8")
        title = figure["ident"].replace("-", " ").capitalize()
        said += [f"## {title}", "", f"![{html.unescape(figure['alt'])}](images/{name}.svg)", "",
                 html.unescape(figure["caption"]), ""]
    (project / "docs" / "gallery.md").write_text("\n".join(said), encoding="utf-8")
    shutil.copy(images / "all_centres.svg", images / "net_by_centre.svg")


def take_in(run: Path, project: Path) -> None:
    """Put a run, what manipulation came to on it and the report of both into the project."""
    reference, facts = project / "reports" / NAME, project / "src" / "lakemedelsmodell" / "facts"
    worlds = project / "simulations"
    for folder in (reference, facts, worlds, project / "docs" / "images"):
        folder.mkdir(parents=True, exist_ok=True)
    played, told = beside(run, "manipulated"), beside(run, "report")
    command("report", str(run), "--manipulation", str(played), "--out", str(told))
    for file in (*(run / name for name in TABLES), played / "verdict.json",
                 *told.glob("*.html"), *told.glob("*.xlsx")):
        shutil.copy(file, reference)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    # No path of the machine it was made on.
    call = [Path(word).name if Path(word).is_absolute() else word for word in manifest["command"]]
    (reference / "manifest.json").write_text(to_json({**manifest, "directory": ".", "command": call}), encoding="utf-8")
    shutil.copy(run / "amounts.csv", facts / "reference_amounts.csv")
    shutil.copy(played / "frontier.csv", worlds / f"{NAME}.frontier.csv")
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    gallery(reference / "report.en.html", results["run"], project)

    readme = project / "README.md"
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    text = RESULT.sub(lambda _: f"```\n{summary(results)}\n```\n", text)
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
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scale", type=float, default=1.0, help="share of the population, with --out")
    arguments.add_argument("--out", type=Path, help="folder to write into instead of the project")
    arguments.add_argument("--run", type=Path, help="take in this run, with RUN_manipulated beside it")
    arguments.add_argument("--check", type=Path, metavar="RUN", help="only compare a run with the reference")
    asked = arguments.parse_args()
    if asked.scale != 1 and asked.out is None:
        arguments.error("the reference is of full size; --scale goes with --out")
    if asked.check:
        check(asked.check)
    else:
        target = asked.out or PROJECT
        found = asked.run or target / "runs" / NAME
        if not asked.run:
            made(found, asked.scale)
        take_in(found.resolve(), target)
