"""A run again from its manifest, compared with what it wrote: byte for byte, or to 1e-9 on other versions."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import Progress, Settings, quiet
from lakemedelsmodell.evaluation.schema import RESULTS
from lakemedelsmodell.folders import MANIFEST, file_hashes, scratch_folder, versions
from lakemedelsmodell.run import (
    Report,
    evaluate_cohort_run,
    evaluate_run,
    evaluate_source_run,
    evaluate_totals_run,
    simulate_run,
)

if TYPE_CHECKING:
    from lakemedelsmodell.simulation.scenario import Scenario

TOLERANCE = 1e-9
"""Of a number, relative and absolute, between different versions of the packages."""
HIDDEN = "***"
"""What stands in a manifest where the password was."""


@dataclass(frozen=True)
class Difference:
    """``file`` and the place in it (a key of results.json, a row and column; empty: all of it), then and now."""

    file: str
    place: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.file}{f', {self.place}' if self.place else ''}: {self.then} then, {self.now} now"


@dataclass(frozen=True)
class Reproduction:
    """What came of running a run again.

    Attributes
    ----------
    folder : the run
    versions : package → (then, now), of those that are others now
    changed : inputs that are not what they were, by name; nothing was run then
    differences : wherever the results are not the same
    files : number of files that were compared
    unlike : files whose bytes differ, as they may on other versions, and whose numbers cannot be read
    """

    folder: Path
    versions: Mapping[str, tuple[str | None, str | None]]
    changed: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    files: int = 0
    unlike: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        return not (self.changed or self.differences)


def reproduce(folder: Path, *, out: Path | None = None, report: Report | None = None,
              progress: Progress = quiet) -> Reproduction:
    """Run a run folder of ``simulate`` or ``evaluate`` again and compare.

    Parameters
    ----------
    folder : the run; a copy without its data/ and truth/ will do
    out : where the new run is kept; None = nowhere
    report : what writes the reports, for a run that has some

    Raises UserError for a folder that is no such run, whose inputs are gone or whose password nobody wrote down.
    """
    manifest = _manifest(folder)
    then, now = manifest.versions, versions()
    other = {name: (then.get(name), now.get(name)) for name in sorted({*then, *now}) if then.get(name) != now.get(name)}
    places = {given: _found(given, manifest) for given in manifest.inputs}
    if changed := tuple(_changed(places, manifest.inputs)):
        return Reproduction(folder, other, changed)
    if out is not None:
        if out.resolve() == folder.resolve():
            raise UserError(f"{out} is the run itself. Choose another folder with --out.")
        return _compared(folder, manifest, _again(manifest, places, out, report, progress), other)
    scratch, remove = scratch_folder()
    try:
        return _compared(folder, manifest, _again(manifest, places, scratch / "again", report, progress), other)
    finally:
        remove()


class Made(BaseModel):
    """What a manifest tells of how a run was made; one of another command, or touched by hand, does not fit."""

    kind: Literal["simulation", "files", "cohort", "totals", "source"]
    settings: dict[str, Any]
    langs: list[str]
    report: bool
    directory: str
    inputs: dict[str, dict[str, str]]
    outputs: dict[str, str]
    versions: dict[str, str]
    data: str | None = None
    manipulation: str | None = None
    source: str | None = None
    reduce: Literal["cohort", "totals"] = "cohort"
    scenario: dict[str, Any] | None = None
    seed: int | None = Field(None, ge=0)
    scale: float = 1.0
    centres: int | None = None

    @model_validator(mode="after")
    def _complete(self) -> Made:
        """What is asked for where it was made is there."""
        if self.kind == "simulation":
            asked = self.scenario is not None
        else:
            asked = self.source is not None or self.data in self.inputs
        if not asked or self.manipulation not in (None, *self.inputs) or set(self.langs) - {"sv", "en"}:
            raise ValueError
        Settings.model_validate(self.settings)
        return self


def _manifest(folder: Path) -> Made:
    try:
        return Made.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{folder} cannot be run again: its {MANIFEST} is missing or changed, or of another command "
                        "than simulate and evaluate, or of a version that did not write down all it was made from."
                        ) from None


def _found(given: str, manifest: Made) -> Path:
    """Where an input lies now: seen from here, or from where the run was made."""
    for place in (Path(given), Path(manifest.directory) / given):
        if place.exists():
            return place
    raise UserError(f"The input {given} is not there. Put it where the run read it, or start in the folder the run was "
                    "started in.")


def _changed(places: Mapping[str, Path], inputs: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for given, was in inputs.items():
        now = file_hashes(places[given])
        for name in sorted(was.keys() | now):
            if was.get(name) != now.get(name):
                what = "is new" if name not in was else "is gone" if name not in now else "has changed"
                yield f"{given if places[given].is_file() else f'{given}/{name}'} {what}"


def _again(manifest: Made, places: Mapping[str, Path], out: Path, report: Report | None,
           progress: Progress) -> Path:
    own = manifest.settings["condition_set"]
    settings = Settings.model_validate(manifest.settings | {"condition_set": str(places.get(own, own))})
    how: dict[str, Any] = {"out": out, "settings": settings, "langs": manifest.langs, "progress": progress,
                           "report": report if manifest.report else None}
    if manifest.kind == "simulation":
        return simulate_run(_world(manifest), seed=manifest.seed, scale=manifest.scale, centres=manifest.centres,
                            **how).folder
    if manifest.source:
        if HIDDEN in manifest.source:
            raise UserError(f"The run read {manifest.source}, whose password is not written down. Give passwords as "
                            "${NAME} of the environment; such a run can be made again.")
        return evaluate_source_run(manifest.source, reduce=manifest.reduce, **how).folder
    data = places[str(manifest.data)]
    if manifest.kind == "files":
        played = manifest.manipulation
        return evaluate_run(data, manipulation=places[played] if played else None, **how).folder
    return (evaluate_cohort_run if manifest.kind == "cohort" else evaluate_totals_run)(data, **how).folder


def _world(manifest: Made) -> Scenario:
    from lakemedelsmodell.simulation.scenario import Scenario

    try:
        return Scenario.model_validate(manifest.scenario)
    except ValidationError:
        raise UserError(f"The world in {MANIFEST} is none this version can draw: it was changed, or written by another "
                        "version.") from None


def _compared(folder: Path, manifest: Made, again: Path,
              other: Mapping[str, tuple[str | None, str | None]]) -> Reproduction:
    """What the run wrote, by its manifest, beside what it writes now; files since taken out of it included."""
    was, now = manifest.outputs, file_hashes(again)
    del now[MANIFEST]
    here = {name: found for name, found in file_hashes(folder).items() if name in was}
    differences = [Difference(name, "", "as the run wrote it", "another file lies in the folder")
                   for name in sorted(here) if here[name] != was[name]]
    unlike = []
    for name in sorted(was.keys() | now):
        if was.get(name) == now.get(name):
            continue
        if name not in was or name not in now:
            differences.append(Difference(name, "", *("there" if name in of else "missing" for of in (was, now))))
        elif name in here and here[name] == was[name] and (found := _by_value(folder / name, again / name)) is not None:
            differences += found if other else found or [Difference(name, "", "other bytes", "of the same values")]
        elif other:
            unlike.append(name)
        else:
            differences.append(Difference(name, "", *(f"SHA-256 {of[name][:12]}…" for of in (was, now))))
    return Reproduction(folder, other, (), tuple(differences), len(was.keys() | now), tuple(unlike))


def _by_value(one: Path, other: Path) -> list[Difference] | None:
    """Where two tables or results differ by more than the tolerance; None for what holds no plain values."""
    if one.suffix == ".json":
        values: list[dict[str, Any]] = [dict(_leaves(json.loads(p.read_text(encoding="utf-8")))) for p in (one, other)]
    elif one.suffix == ".csv":
        values = [dict(_cells(p)) for p in (one, other)]
    else:
        return None
    if one.name == RESULTS:
        values = [{k: v for k, v in of.items() if not k.startswith("run.versions.")} for of in values]
    then, now = values
    return [Difference(one.name, place, str(then.get(place, "missing")), str(now.get(place, "missing")))
            for place in [*then, *(p for p in now if p not in then)]
            if place not in then or place not in now or not _close(then[place], now[place])]


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, of in value.items():
            yield from _leaves(of, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and value:
        for i, of in enumerate(value):
            yield from _leaves(of, f"{place}[{i}]")
    else:
        yield place, value


def _cells(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        for i, row in enumerate(csv.DictReader(stream), 1):
            for column, text in row.items():
                try:
                    yield f"row {i}, {column}", float(text)
                except (TypeError, ValueError):
                    yield f"row {i}, {column}", text


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return one == other
