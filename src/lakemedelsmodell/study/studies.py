"""Worlds replicated with common random numbers: what is kept of each draw, and what all of them say together."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import Progress, quiet
from lakemedelsmodell.folders import to_json
from lakemedelsmodell.study.replicate import Replicate, replicate
from lakemedelsmodell.verdict import ManipulationFinding, Rule, Verdict, judge, read_rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lakemedelsmodell.simulation.scenario import Scenario

EDITION = 5
"""Raised when a replicate would come out otherwise than before: what older ones kept is then not used."""


@dataclass(frozen=True, eq=False)
class Task:
    """One draw to make: a world at a seed and scale, how many of its centres (None: all), with competitors or not."""

    scenario: Scenario
    seed: int
    scale: float
    centres: int | None = None
    competitors: bool = True

    @property
    def key(self) -> str:
        """Hash of all that decides the result."""
        content = {"scenario": self.scenario.model_dump(mode="json", by_alias=True), "seed": self.seed,
                   "scale": self.scale, "centres": self.centres, "competitors": self.competitors,
                   "edition": EDITION, "version": version("lakemedelsmodell")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def run(self, workers: int) -> Replicate:
        return replicate(self.scenario, self.seed, self.scale, centres=self.centres, competitors=self.competitors,
                         workers=workers)


class Kept:
    """Finished replicates in a folder, one JSON file each by the hash of its task; None keeps nothing."""

    def __init__(self, folder: Path | None):
        self.folder = folder

    def _path(self, task: Task) -> Path:
        assert self.folder is not None
        return self.folder / f"{task.scenario.name}-{task.seed}-{task.key}.json"

    def get(self, task: Task) -> Replicate | None:
        if self.folder is None or not self._path(task).is_file():
            return None
        try:
            raw = json.loads(self._path(task).read_text(encoding="utf-8"))
            return Replicate(**{**raw, "measures": _known(raw["measures"]), "groups": _known(raw["groups"])})
        except (ValueError, TypeError, KeyError, AttributeError):  # damaged: drawn anew
            return None

    def put(self, task: Task, done: Replicate) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            whole(self._path(task), to_json(asdict(done)))


def whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _known(values: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float]]:
    """Unknown is null in JSON and nan in numbers."""
    return {name: {k: math.nan if v is None else v for k, v in of.items()} for name, of in values.items()}


def run_tasks(tasks: Sequence[Task], *, kept: Kept, workers: int = 2, progress: Progress = quiet) -> list[Replicate]:
    """Replicates of all tasks in their order: those kept are read, the others drawn and kept as they finish.

    Several draws go to as many processes as ``workers``; a single one shares its centres among threads.
    """
    from joblib import Parallel, delayed

    done: dict[str, Replicate] = {}
    for task in tasks:
        found = kept.get(task)
        if found is not None:
            done[task.key] = found
    missing = list({task.key: task for task in tasks if task.key not in done}.values())
    if missing:
        progress(f"{len(missing)} replicates to draw, {len(done)} kept from before")
    at_once = min(workers, len(missing))
    threads = max(1, workers // max(at_once, 1))

    drawn = Parallel(n_jobs=max(at_once, 1), return_as="generator_unordered")(
        delayed(_draw)(task, threads) for task in missing)
    for number, (task, found) in enumerate(drawn, 1):
        kept.put(task, found)
        done[task.key] = found
        progress(f"{task.scenario.name}: replicate {number} of {len(missing)}")
    return [done[task.key] for task in tasks]


def _draw(task: Task, threads: int) -> tuple[Task, Replicate]:
    return task, task.run(threads)


@dataclass(frozen=True, eq=False)
class Study:
    """Replicates of several worlds and the verdict on each.

    Attributes
    ----------
    replicates : mapping, world → tuple of Replicate
    titles : mapping, world → {"sv", "en"}
    verdicts : mapping, world → Verdict
    rule : Rule
    """

    replicates: Mapping[str, tuple[Replicate, ...]]
    titles: Mapping[str, Mapping[str, str]]
    verdicts: Mapping[str, Verdict]
    rule: Rule

    def to_frame(self) -> pd.DataFrame:
        """Tidy: world, model, measure, value (mean over replicates), mcse (its Monte-Carlo standard error, nan with
        one replicate), replicates. Money in SEK per listed month."""
        return pd.concat([summary(of).assign(world=world) for world, of in self.replicates.items()], ignore_index=True)[
            ["world", "model", "measure", "value", "mcse", "replicates"]]

    def to_dict(self) -> dict[str, Any]:
        """study.json without its head."""
        return {
            "rule": self.rule.model_dump(mode="json"),
            "worlds": {world: {
                "title": dict(self.titles[world]), "seeds": [r.seed for r in of], "scale": of[0].scale,
                "verdict": self.verdicts[world].to_dict(), "left_out": left_out(of),
                "measures": {model: {row.measure: {"mean": row.value, "mcse": row.mcse} for row in rows.itertuples()}
                             for model, rows in summary(of).groupby("model", sort=False)},
            } for world, of in self.replicates.items()},
        }

    def plot(self, model: str = "chronic", against: str = "age_sex", ax: Axes | None = None) -> Axes:
        """Δ per world, SD ratio on a log scale, with the mean ends of its 95 % interval."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(7, 0.6 + 0.4 * len(self.replicates)))[1]
        worlds = list(self.replicates)[::-1]
        delta, low, high = ([_mean(self.replicates[w], model, f"{m}.{against}") for w in worlds]
                            for m in ("log_sd_ratio", "ci_low", "ci_high"))
        place = np.arange(len(worlds))
        ax.axvline(1, color="0.4", lw=0.8)
        ax.hlines(place, np.exp(low), np.exp(high), color="0.6")
        ax.plot(np.exp(delta), place, "o", ms=4)
        ax.set(yticks=place, yticklabels=worlds, xlabel=f"SD of {model} over SD of {against}")
        return ax

    def plot_truth(self, model: str = "chronic", against: str = "age_sex", ax: Axes | None = None) -> Axes:
        """Change of spread beside change of distance to the ideal net, one point per world, in SEK per listed month:
        below 0 on both axes the smaller spread is a gain, above 0 on the second it is not."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(6, 4.5))[1]
        ax.axhline(0, color="0.4", lw=0.8)
        ax.axvline(0, color="0.4", lw=0.8)
        for world, of in self.replicates.items():
            x = _mean(of, model, "sd") - _mean(of, against, "sd")
            y = _mean(of, model, f"rmse_change.{against}")
            ax.plot(x, y, "o", ms=5)
            ax.annotate(world, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=8)
        ax.set(xlabel="Change of SD, SEK per listed month", ylabel="Change of RMSE to the ideal net")
        return ax

    def __str__(self) -> str:
        said = []
        for world, of in self.replicates.items():
            missing = [f"  left out: {model} in {n} of {len(of)} draws, where a centre would get less than nothing"
                       for model, n in left_out(of).items()]
            said.append("\n".join([str(self.verdicts[world]), *missing]))
        return "\n\n".join(said)

    def _repr_html_(self) -> str:
        wide = self.to_frame()
        wide = wide[wide["measure"].isin(["sd", "r2", "pass_through", "rmse_to_ideal"])]
        return (wide.pivot(index=["world", "model"], columns="measure", values="value").to_html(
            float_format=lambda v: f"{v:,.3f}") + "".join(v._repr_html_() for v in self.verdicts.values()))


def study(worlds: Sequence[Scenario], *, replicates: int = 10, scale: float = 1.0, centres: int | None = None,
          workers: int = 2, rule: Rule | None = None, played: Mapping[str, ManipulationFinding] | None = None,
          kept: Path | None = None, progress: Progress = quiet) -> Study:
    """Draw every world ``replicates`` times and judge each.

    Replicate r of every world has its scenario's seed + r: the same random numbers, so that worlds with the same seed
    differ only where they are made to.

    Parameters
    ----------
    scale, centres : as for ``simulate``
    workers : processes (threads for a single draw); the result is the same with any number
    rule : of the verdict; None = the packaged one
    played : world → what playing manipulation in it found; elsewhere that clause is not yet known
    kept : folder with finished replicates, which are not drawn again; None keeps nothing

    Raises UserError for a number of replicates below 1 or a world given twice.
    """
    rule = rule or read_rule()
    tasks = study_tasks(worlds, replicates, scale, centres)
    names = [world.name for world in worlds]
    done = run_tasks(tasks, kept=Kept(kept), workers=workers, progress=progress)
    by_world = {name: tuple(done[i * replicates:(i + 1) * replicates]) for i, name in enumerate(names)}
    return Study(by_world, {w.name: w.title for w in worlds},
                 {name: judge_replicates(rule, of, (played or {}).get(name)) for name, of in by_world.items()}, rule)


def judge_replicates(rule: Rule, replicates: Sequence[Replicate], manipulation: ManipulationFinding | None = None
                     ) -> Verdict:
    """The verdict on one world."""
    return judge(rule, [r.measures for r in replicates], [r.groups for r in replicates], world=replicates[0].world,
                 manipulation=manipulation)


def study_tasks(worlds: Sequence[Scenario], replicates: int, scale: float, centres: int | None = None) -> list[Task]:
    """Replicate after replicate of world after world; UserError as :func:`study`."""
    if replicates < 1:
        raise UserError(f"{replicates} replicates are none. Ask for 1 or more.")
    names = [world.name for world in worlds]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"The world {', '.join(sorted(twice))} is given twice. Give each once.")
    return [Task(world, world.seed + r, scale, centres) for world in worlds for r in range(replicates)]


def summary(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Mean and Monte-Carlo standard error, SD/√n, of every measure: model, measure, value, mcse, replicates.

    ``replicates`` counts the draws in which the model could be paid; the others say nothing of it.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for r in replicates:
        for model, of in r.measures.items():
            for measure, value in of.items():
                values.setdefault((model, measure), []).append(value)
    order = {model: i for i, model in reversed(list(enumerate(m for r in replicates for m in r.measures)))}
    found = []
    for (model, measure), drawn in sorted(values.items(), key=lambda item: order[item[0][0]]):
        n = len(drawn)
        mcse = float(np.std(drawn, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        found.append((model, measure, float(np.mean(drawn)), mcse, n))
    return pd.DataFrame(found, columns=["model", "measure", "value", "mcse", "replicates"])


def left_out(replicates: Sequence[Replicate]) -> dict[str, int]:
    """In how many draws each model could not be paid; models that always could are not there."""
    return dict(sorted(Counter(model for r in replicates for model in r.left_out).items()))


def _mean(replicates: Sequence[Replicate], model: str, measure: str) -> float:
    return float(np.mean([r.measures[model][measure] for r in replicates]))
