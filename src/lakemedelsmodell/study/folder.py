"""The folder of a study: every replicate kept as it finishes, so that a study broken off goes on where it stopped."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import Progress, quiet
from lakemedelsmodell.folders import MANIFEST, alone, seal, to_json, versions
from lakemedelsmodell.manipulation.origin import findings_in_worlds
from lakemedelsmodell.simulation import Scenario, simulate
from lakemedelsmodell.study.grid import Grid, GridResult, grid_tasks, run_grid
from lakemedelsmodell.study.studies import Study, study, study_tasks, whole
from lakemedelsmodell.verdict import ManipulationFinding, Rule

SCHEMA_VERSION = 1
REPLICATES = "replicates"
WORLD_REPLICATES = 10
RESULTS = ("study.json", "study.csv", "spread.svg", "truth.svg", "grid.json", "grid.csv", "flips.csv", "grid.svg",
           "map.svg")


@dataclass(frozen=True)
class StudyRun:
    """A study that has been written: its folder, the studies in it (None: not asked for), wall-clock seconds."""

    folder: Path
    study: Study | None
    grid: GridResult | None
    seconds: float


def study_run(worlds: Sequence[Scenario], *, grid: Grid | None = None, out: Path | None = None,
              replicates: int | None = None, workers: int = 2, scale: float = 1.0, rule: Rule | None = None,
              manipulation: Sequence[Path] = (), progress: Progress = quiet) -> StudyRun:
    """Carry out a study and write study.json, study.csv and figures, and those of the grid, into ``out``.

    ``replicates``: draws of each world, and of each point of the grid; None: :data:`WORLD_REPLICATES`, and what the
    grid says. ``manipulation``: what ``manipulate`` found in some of the worlds, for the verdict on each.

    A folder of an earlier study is gone on with: what it has drawn is not drawn again, its results are replaced. Any
    other folder with something in it is refused (UserError), as is a call that asks for neither worlds nor a grid.
    """
    if not worlds and grid is None:
        raise UserError("Give the name of a world (or several), or --grid FILE.")
    if not 1e-5 <= scale <= 10:
        raise UserError(f"scale {scale:g} is no share of the population that can be drawn. Give a number from 0.00001 "
                        "to 10; 1 is full size.")
    played = findings_in_worlds(manipulation, worlds)
    of_world = WORLD_REPLICATES if replicates is None else replicates
    study_tasks(worlds, of_world, scale)  # what cannot be is said before anything is written
    for world in worlds:
        simulate(world, scale=scale)
    if grid is not None:
        grid = grid if replicates is None else grid.model_copy(update={"replicates": replicates})
        grid_tasks(grid, grid.replicates, scale)
    clock, started = time.perf_counter(), datetime.now(UTC)
    folder = Path("runs") / ("study" if len(worlds) != 1 else f"study_{worlds[0].name}") if out is None else out
    with alone(folder):
        _check(folder)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        return _carried_out(worlds, grid, folder, of_world, workers, scale, rule, played, progress, clock, started)


def _carried_out(worlds: Sequence[Scenario], grid: Grid | None, folder: Path, replicates: int, workers: int,
                 scale: float, rule: Rule | None, played: Mapping[str, ManipulationFinding], progress: Progress,
                 clock: float, started: datetime) -> StudyRun:
    manifest = {"kind": "study", "command": ["lakemedelsmodell", *sys.argv[1:]],
                "started": started.isoformat(timespec="seconds"), "versions": versions()}
    whole(folder / MANIFEST, to_json({**manifest, "finished": False}))
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)

    how: dict[str, Any] = {"scale": scale, "workers": workers, "kept": folder / REPLICATES, "progress": progress}
    done = study(worlds, replicates=replicates, rule=rule, played=played, **how) if worlds else None
    mapped = run_grid(grid, **how) if grid else None
    head = {"schema": SCHEMA_VERSION, "versions": versions(), "scale": scale}
    if done is not None:
        whole(folder / "study.csv", done.to_frame().to_csv(index=False, lineterminator="\n"))
        _figure(folder / "spread.svg", done.plot().figure)
        _figure(folder / "truth.svg", done.plot_truth().figure)
        whole(folder / "study.json", to_json(head | {"replicates": replicates} | done.to_dict()))
    if mapped is not None:
        whole(folder / "grid.csv", mapped.table.to_csv(index=False, lineterminator="\n"))
        whole(folder / "flips.csv", mapped.flips().to_csv(index=False, lineterminator="\n"))
        _figure(folder / "grid.svg", mapped.plot())
        _figure(folder / "map.svg", mapped.plot_map())
        whole(folder / "grid.json", to_json(head | {"replicates": mapped.grid.replicates,
                                                    "grid": mapped.grid.model_dump(mode="json", by_alias=True),
                                                    "flips": mapped.flips().to_dict("records")}))
    seconds = time.perf_counter() - clock
    whole(folder / MANIFEST, to_json({
        **manifest, "finished": True, "seconds": round(seconds, 2),
        "machine": {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()}}))
    seal(folder)
    return StudyRun(folder, done, mapped, seconds)


def _check(folder: Path) -> None:
    """Refuse what is not a study's folder."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file. Choose a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()):
        try:
            kind = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("kind")
        except (OSError, ValueError, AttributeError):
            kind = None
        if kind != "study":
            raise UserError(f"{folder} is not empty and was not written by a study. "
                            "Choose another folder with --out; nothing was changed.")


def _figure(path: Path, figure: Any) -> None:
    """SVG of the same bytes for the same numbers."""
    import io

    import matplotlib.pyplot as plt

    text = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "lakemedelsmodell", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    whole(path, text.getvalue())
