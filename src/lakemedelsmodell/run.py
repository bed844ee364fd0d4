"""The run folder: results, centres, amounts and manifest, written whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lakemedelsmodell.conditions import PACKAGED_SETS
from lakemedelsmodell.data.toml_files import read_checked
from lakemedelsmodell.errors import DataError, Problem, redacted
from lakemedelsmodell.evaluation import (
    Evaluation,
    Progress,
    Settings,
    evaluate,
    evaluate_cohort,
    evaluate_totals,
    quiet,
)
from lakemedelsmodell.evaluation.schema import RESULTS, check_results
from lakemedelsmodell.folders import hashes_of, neutral, plain, staged, to_json, versions, write_manifest
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.measures.truth import Truth

if TYPE_CHECKING:
    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.simulation.scenario import Scenario

Report = Callable[[Path, Sequence[str]], object]
"""Writes the reports of a run folder in the languages asked for (see ``report.write_reports``)."""


@dataclass(frozen=True)
class RunResult:
    """A run folder that has been written.

    ``results`` is what results.json holds; ``seconds`` the wall-clock time of the whole run.
    """

    folder: Path
    results: dict[str, Any]
    seconds: float


def read_settings(path: Path | None) -> Settings:
    """Settings from a TOML file; DataError names the key that is wrong."""
    if path is None:
        return Settings()
    settings = read_checked(Settings, path, f"There is no settings file {path}.",
                            f"Known settings: {', '.join(Settings.model_fields)}.")
    beside = path.parent / settings.condition_set
    return settings.model_copy(update={"condition_set": str(beside)}) if beside.is_file() else settings


def _finish(stage: Path, evaluation: Evaluation, run: dict[str, Any], manifest: dict[str, Any], started: datetime,
            settings: Settings, langs: Sequence[str], report: Report | None, progress: Progress) -> dict[str, Any]:
    """Write everything but the data into the staged folder; the manifest comes last: all that the run was made from."""
    results = plain({"schema": evaluation.schema, "run": {"versions": versions(), **run}, **evaluation.results})
    persons = results["totals"]["persons"]
    if persons is not None and persons < FEWEST_PERSONS:
        raise DataError(Problem("persons", f"only {persons} are listed in the period; of fewer than {FEWEST_PERSONS} "
                                "nothing may be shown", "Give the whole region."))
    check_results(results)
    (stage / RESULTS).write_text(to_json(results), encoding="utf-8")
    frames = {"centres": evaluation.centres, "amounts": evaluation.amounts, "coverage": evaluation.coverage,
              "contributions": evaluation.contributions}
    for name, frame in frames.items():
        if frame is not None:
            neutral(frame).to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
    if report:
        progress("writing the report")
        report(stage, langs)
    asked = {"settings": settings.model_dump(mode="json") | (
        {"source": settings.source.model_dump(mode="json")} if settings.source else {}),
        "langs": list(langs), "report": report is not None, "directory": str(Path.cwd())}
    write_manifest(stage, started, {"kind": run["kind"], **manifest, **asked})
    return results


def _read_hashes(settings: Settings, *inputs: Path) -> dict[str, dict[str, str]]:
    """Hashes of the files a run reads: its data and, where there is one, a condition list of one's own."""
    own = [] if settings.condition_set in PACKAGED_SETS else [Path(settings.condition_set)]
    return hashes_of([*inputs, *(path for path in own if path.is_file())])


def simulate_run(scenario: Scenario, *, out: Path | None = None, seed: int | None = None, scale: float = 1.0,
                 centres: int | None = None, settings: Settings | None = None, langs: Sequence[str] = ("sv", "en"),
                 report: Report | None = None, progress: Progress = quiet) -> RunResult:
    """Simulate a world, evaluate it as if it were a region's own files, and write the run folder."""
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.simulation.drawing import simulate

    clock, started = time.perf_counter(), datetime.now(UTC)
    folder = Path("runs") / scenario.name if out is None else out
    settings = settings or Settings()
    hashes = _read_hashes(settings)
    simulation = simulate(scenario, seed=seed, scale=scale, centres=centres, progress=progress)
    with staged(folder, hashes) as stage:
        simulation.write(stage / "data", stage / "truth")
        progress("reading and checking the files")
        half_year = read_half_year(stage / "data")
        truth = read_truth(half_year, stage / "truth" / "persons.parquet", settings)
        evaluation = evaluate(half_year, settings, truth=truth, progress=progress)
        (stage / "calibration.json").write_text(to_json(simulation.calibration_report()), encoding="utf-8")
        results = _finish(
            stage, evaluation,
            {"kind": "simulation", "scenario": scenario.name, "scenario_title": scenario.title, "seed": simulation.seed,
             "scale": scale, "content_hash": half_year.content_hash},
            {"scenario": scenario.model_dump(mode="json"), "seed": simulation.seed, "scale": scale, "centres": centres,
             "inputs": hashes}, started, settings, langs, report, progress)
    return RunResult(folder, results, time.perf_counter() - clock)


def read_truth(half_year: HalfYear, persons: Path, settings: Settings) -> Truth:
    """What a simulation wrote of its persons, set beside those of its half-year. It is of the last six months."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from lakemedelsmodell.data.periods import HALF_YEAR, Period

    base = "gross" if settings.cost_base == "gross_price" else "cost"
    hidden = pq.read_table(persons, columns=["person_id", f"expected_{base}_sek", f"style_{base}_sek"])
    ids = half_year.persons.order_by("person").select("person_id").to_pyarrow()["person_id"].combine_chunks()
    at = pc.index_in(pc.cast(ids, "string"), pc.cast(hidden["person_id"], "string").combine_chunks()).to_numpy()
    expected, style = (hidden[f"{what}_{base}_sek"].to_numpy()[at] / HALF_YEAR for what in ("expected", "style"))
    return Truth(Period.half_year_of(half_year.months_seen[-1]), expected, style)


def evaluate_run(data: Path, *, manipulation: Path | None = None, out: Path | None = None,
                 settings: Settings | None = None, langs: Sequence[str] = ("sv", "en"), report: Report | None = None,
                 progress: Progress = quiet) -> RunResult:
    """Evaluate a folder with the four tables and write the run folder.

    ``manipulation``: what ``manipulate`` found on the same rows, for the verdict.
    """
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.manipulation.origin import finding_on_data

    clock, started = time.perf_counter(), datetime.now(UTC)
    place = data.resolve()
    # The data of a run lie in its folder, which must not be replaced by their evaluation.
    name = f"{place.parent.name}_evaluated" if place.name == "data" else place.name
    folder = Path("runs") / name if out is None else out
    settings = settings or Settings()
    hashes = _read_hashes(settings, data, *([manipulation] if manipulation else []))
    with staged(folder, hashes) as stage:
        progress("reading and checking the files")
        half_year = read_half_year(data)
        played = finding_on_data(manipulation, half_year.content_hash) if manipulation else None
        evaluation = evaluate(half_year, settings, manipulation=played, progress=progress)
        results = _finish(
            stage, evaluation,
            {"kind": "files", "scenario": None, "scenario_title": None, "seed": None, "scale": None,
             "content_hash": half_year.content_hash},
            {"data": str(data), "inputs": hashes} | ({"manipulation": str(manipulation)} if manipulation else {}),
            started, settings, langs, report, progress)
    return RunResult(folder, results, time.perf_counter() - clock)


def evaluate_source_run(url: str, *, reduce: Literal["cohort", "totals"] = "cohort", out: Path | None = None,
                        settings: Settings | None = None, langs: Sequence[str] = ("sv", "en"),
                        report: Report | None = None, progress: Progress = quiet) -> RunResult:
    """Evaluate tables where they lie, in a database, and write the run folder.

    Only the cohort comes back, or with ``reduce="totals"`` only sums per centre; no password is written down.
    """
    from lakemedelsmodell.data.engines import said_plainly
    from lakemedelsmodell.data.sources import open_source
    from lakemedelsmodell.evaluation.derived import sums_per_centre

    clock, started = time.perf_counter(), datetime.now(UTC)
    folder = Path("runs") / "source" if out is None else out
    settings = settings or Settings()
    hashes = _read_hashes(settings)
    with staged(folder, hashes) as stage, said_plainly(url):
        progress("checking the tables where they lie")
        half_year = open_source(url, settings.source, progress=progress)
        found = (evaluate(half_year, settings, progress=progress) if reduce == "cohort" else
                 evaluate_totals(sums_per_centre(half_year, settings, progress), settings, progress=progress))
        results = _finish(
            stage, found,
            {"kind": "source" if reduce == "cohort" else "totals", "scenario": None, "scenario_title": None,
             "seed": None, "scale": None, "content_hash": half_year.content_hash},
            {"source": redacted(url), "reduce": reduce, "inputs": hashes}, started, settings, langs, report, progress)
    return RunResult(folder, results, time.perf_counter() - clock)


def evaluate_cohort_run(file: Path, *, out: Path | None = None, settings: Settings | None = None,
                        langs: Sequence[str] = ("sv", "en"), report: Report | None = None,
                        progress: Progress = quiet) -> RunResult:
    """Evaluate a reduced table (one row per person × centre) and write the run folder."""
    from lakemedelsmodell.data.cohort_file import read_cohort

    return _reduced_run("cohort", file, read_cohort, evaluate_cohort, out, settings, langs, report, progress)


def evaluate_totals_run(file: Path, *, out: Path | None = None, settings: Settings | None = None,
                        langs: Sequence[str] = ("sv", "en"), report: Report | None = None,
                        progress: Progress = quiet) -> RunResult:
    """Evaluate sums per centre (one row per centre) and write the run folder."""
    from lakemedelsmodell.data.totals_file import read_totals

    return _reduced_run("totals", file, read_totals, evaluate_totals, out, settings, langs, report, progress)


def _reduced_run(kind: str, file: Path, read: Callable[[Path], Any], evaluation: Callable[..., Evaluation],
                 out: Path | None, settings: Settings | None, langs: Sequence[str], report: Report | None,
                 progress: Progress) -> RunResult:
    clock, started = time.perf_counter(), datetime.now(UTC)
    folder = Path("runs") / file.stem if out is None else out
    settings = settings or Settings()
    hashes = _read_hashes(settings, file)
    with staged(folder, hashes) as stage:
        progress(f"reading and checking the {kind}")
        found = evaluation(read(file), settings, progress=progress)
        results = _finish(
            stage, found,
            {"kind": kind, "scenario": None, "scenario_title": None, "seed": None, "scale": None,
             "content_hash": hashes[str(file)].get(file.name)},
            {"data": str(file), "inputs": hashes}, started, settings, langs, report, progress)
    return RunResult(folder, results, time.perf_counter() - clock)
