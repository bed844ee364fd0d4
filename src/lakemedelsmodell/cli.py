"""The commands: they parse, call and print, and compute nothing.

Whatever a command needs beyond typer is imported inside it, so that ``--help`` is instant. A user's
mistake arrives as :class:`~lakemedelsmodell.errors.UserError` and leaves as one message on stderr and
an exit code: 1, the data are bad; 2, the call is wrong.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakemedelsmodell.errors import UserError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.amounts import AmountTable, Language
    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.evaluation import Progress
    from lakemedelsmodell.run import Report, RunResult

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="How a region shares out its drug money between primary-care centres, and how far apart they end up.",
    epilog="Exit codes: 0 it went well, 1 the data are bad, 2 the call is wrong.",
)


class Format(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"


class Lang(StrEnum):
    sv = "sv"
    en = "en"
    both = "both"


class OneLang(StrEnum):
    sv = "sv"
    en = "en"


class Rule(StrEnum):
    listed = "listed"
    dispensed = "dispensed"


EXPLAINED = ("age_sex", "chronic", "chronic_defended")
"""Models that ``explain`` shows beside today's amount unless another is named."""

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="Folder with the four tables, or a run folder.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write; an earlier run there is replaced.")]
Langs = Annotated[Lang, typer.Option(help="Language of the report.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave the HTML report out.")]


def _example(arguments: str) -> str:
    return f"Example: python -m lakemedelsmodell {arguments}"


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"lakemedelsmodell {version('lakemedelsmodell')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None: ...


@app.command(epilog=_example("table --year 2026 --format csv"))
def table(
    year: Annotated[int, typer.Option(help="Year the amounts hold for.")] = 2026,
    format: Annotated[Format, typer.Option(help="How to print the published table.")] = Format.text,
    derive: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="Derive the table again from this folder's calendar year before."),
    ] = None,
) -> None:
    """The region's published table of kronor per listed month, by age and sex, with its source."""
    from lakemedelsmodell.facts import age_sex_table

    published = age_sex_table(year)
    if derive is None:
        _print_published(published, format)
        return
    if format is not Format.text:
        raise UserError("--format goes with the published table alone; a derived table is printed as text.")
    from lakemedelsmodell.evaluation import derive_table

    half_year = _read(derive)
    with _progress() as progress:
        progress(f"deriving the table for {year}")
        cells = derive_table(half_year, year)
    rows = [
        (c.age_band, c.sex, _kronor(c.published), _kronor(c.derived), "=" if c.equal else "differs")
        for c in cells.itertuples()
    ]
    print(_columns([("age", "sex", "published", "derived", ""), *rows], "<<>"))
    print(f"equal cells: {int(cells['equal'].sum())} of {len(cells)}")


@app.command(epilog=_example("simulate --scale 0.05 --out runs/small"))
def simulate(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="Name of a shipped world, or a file.")
    ] = "skane_2026h1",
    seed: Annotated[int | None, typer.Option(help="Another draw of the same world.", min=0)] = None,
    scale: Annotated[float, typer.Option(help="Share of the persons per centre, above 0.")] = 1.0,
    centres: Annotated[int | None, typer.Option(help="Fewer centres.", min=1)] = None,
    out: Out = None,
    lang: Langs = Lang.both,
    no_report: NoReport = False,
) -> None:
    """Simulate a region, pay its centres under each model and report how far apart they end up.

    Writes a run folder (runs/SCENARIO unless --out says otherwise): the data, the truth behind
    them, results.json, centres.csv, amounts.csv, manifest.json and the report in Swedish and English.
    """
    from lakemedelsmodell.run import simulate_run
    from lakemedelsmodell.simulation.scenario import load_scenario

    world = load_scenario(scenario)
    with _progress() as progress:
        result = simulate_run(
            world,
            out=out,
            seed=seed,
            scale=scale,
            centres=centres,
            langs=_languages(lang),
            report=_reporter(no_report),
            progress=progress,
        )
    _print_summary(result)


@app.command(epilog=_example("evaluate runs/small/data --out runs/small_again"))
def evaluate(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder with the four tables, or a run folder.")
    ] = None,
    cohort: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A reduced table instead: one row per person and centre, CSV or Parquet."),
    ] = None,
    totals: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sums per centre instead: one row per centre, CSV, Parquet or XLSX."),
    ] = None,
    period: Annotated[
        str | None, typer.Option(help="Months to pay, such as 2026-01..2026-02; else the last half-year.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Settings that differ from the defaults.")
    ] = None,
    out: Out = None,
    lang: Langs = Lang.both,
    no_report: NoReport = False,
) -> None:
    """The same on files of your own: what each centre gets and pays under each model."""
    if sum(given is not None for given in (data, cohort, totals)) != 1:
        raise UserError("Give one of a DATA folder, --cohort FILE and --totals FILE.")
    if data is None and period is not None:
        raise UserError("--period goes with a DATA folder; a file of persons or sums holds one period already.")
    from lakemedelsmodell.data.periods import Period
    from lakemedelsmodell.run import evaluate_cohort_run, evaluate_run, evaluate_totals_run, read_settings

    chosen = read_settings(settings)
    if period is not None:
        chosen = chosen.model_copy(update={"period": str(Period.parse(period))})
    langs, report = _languages(lang), _reporter(no_report)
    with _progress() as progress:
        if data is not None:
            result = evaluate_run(
                _data_folder(data), out=out, settings=chosen, langs=langs, report=report, progress=progress
            )
        elif cohort is not None:
            result = evaluate_cohort_run(
                cohort, out=out, settings=chosen, langs=langs, report=report, progress=progress
            )
        elif totals is not None:
            result = evaluate_totals_run(
                totals, out=out, settings=chosen, langs=langs, report=report, progress=progress
            )
    _print_summary(result)


@app.command(epilog=_example("flags runs/small/data --conditions skane_wide --out flags.csv"))
def flags(
    data: DataFolder,
    conditions: Annotated[
        str, typer.Option(metavar="SET_OR_CSV", help="skane_narrow, skane_wide, or a list of your own.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write, .csv or .parquet.")],
    rule: Annotated[
        Rule,
        typer.Option(help="listed: every threshold of the list holds; dispensed: one dispensing is enough."),
    ] = Rule.listed,
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day; else the look-back of the last half-year.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The day after the last day.")] = None,
) -> None:
    """Who carries which condition: everyone in persons, one true or false per condition."""
    if out.suffix not in (".csv", ".parquet"):
        raise UserError(f"{out} must end in .csv or .parquet.")
    first, after = _day("--from", start), _day("--to", end)
    from lakemedelsmodell.conditions import condition_set
    from lakemedelsmodell.data.flags import read_flags
    from lakemedelsmodell.data.periods import Period
    from lakemedelsmodell.data.tables import default_period

    chosen = condition_set(conditions)
    half_year = _read(data)
    if first is None or after is None:
        lookback = Period.half_year_of(default_period(half_year)[0].start).before(12)
        first, after = first or lookback.start, after or lookback.end
    if first >= after:
        raise UserError(f"--from {first} is not before --to {after}.")
    with _progress() as progress:
        progress("reading the flags")
        frame = read_flags(half_year, (first, after), chosen, rule.value)
    _write_frame(frame, out)
    print(
        f"{out}: {len(frame):,} persons, {len(frame.columns) - 1} conditions of {chosen.name} ({rule.value}), "
        f"{first} to {after} (exclusive)"
    )
    print(_columns([(name, f"{int(frame[name].sum()):,}") for name in chosen.names], "<>"))


@app.command(epilog=_example("check my_extract"))
def check(data: DataFolder) -> None:
    """Read and validate a data folder: say what is wrong, or what was found."""
    from lakemedelsmodell.data.tables import KINDS, default_period
    from lakemedelsmodell.evaluation import noticed

    half_year = _read(data)
    period, partial = default_period(half_year)
    print(f"{_data_folder(data)}: can be read.")
    print(f"  {len(half_year.centres_frame):,} centres, dispensings from {half_year.first_day} to {half_year.last_day}")
    print(f"  evaluate would pay {period}{', which is not complete' if partial else ''}")
    for sentence in half_year.found:
        print(f"  {sentence}")
    counts = noticed(half_year)
    print("Noticed, not fatal:" if counts else "Nothing to notice.")
    print(_columns([(f"  {count:,}", KINDS[kind]) for kind, count in counts.items()], "><"))


@app.command(epilog=_example("explain --age 60 --sex M --condition diabetes_oral --condition doak --lang sv"))
def explain(
    age: Annotated[int, typer.Option(help="Age in completed years.", min=0, max=130)],
    sex: Annotated[str, typer.Option(metavar="K|M", help="K (woman) or M (man).")],
    condition: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A condition held; repeat for several.")
    ] = None,
    amounts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="amounts.csv of a run; else those of the reference run.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Show this model alone beside today's amount; any model of the file.")
    ] = None,
    lang: Annotated[OneLang, typer.Option(help="Language.")] = OneLang.en,
) -> None:
    """One person's monthly reimbursement under each model, as a sum of named parts."""
    held = tuple(dict.fromkeys(condition or ()))
    shown = _amount_tables(amounts, model)
    known = {name for amount_table in shown for name in amount_table.conditions}
    for name in held:
        if known and name not in known:
            raise unknown_name("condition", name, sorted(known))
    _print_explanations(shown, age, sex.upper(), held, lang.value)


@app.command(epilog=_example("study random_lists style_creates_flags --scale 0.05 --replicates 4 --out runs/worlds"))
def study(
    worlds: Annotated[
        list[str] | None, typer.Argument(metavar="WORLD…", help="Names of shipped worlds, or files.")
    ] = None,
    replicates: Annotated[int, typer.Option(help="Draws of each world.", min=1)] = 10,
    workers: Annotated[int, typer.Option(help="Draws at a time; the result is the same with any number.", min=1)] = 2,
    scale: Annotated[float, typer.Option(help="Share of the persons per centre, above 0.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Folder to write; an earlier study there is gone on with.")] = None,
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Vary a world's parameters: where does the sign flip?")
    ] = None,
    rule: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Rule of the verdict; else the packaged one.")
    ] = None,
) -> None:
    """Draw worlds many times, on the same random numbers, and judge the proposal in each by a rule fixed beforehand.

    Writes study.json, study.csv and figures (with --grid also grid.csv and flips.csv) into runs/study unless --out
    says otherwise. A study broken off goes on where it stopped.
    """
    from lakemedelsmodell.simulation.scenario import load_scenario
    from lakemedelsmodell.study import read_grid, read_rule, study_run

    scenarios = [load_scenario(name) for name in worlds or ()]
    chosen, grid_read = read_rule(rule), None if grid is None else read_grid(grid)
    with _progress() as progress:
        done = study_run(
            scenarios,
            grid=grid_read,
            out=out,
            replicates=replicates,
            workers=workers,
            scale=scale,
            rule=chosen,
            progress=progress,
        )
    if done.study is not None:
        print(done.study, end="\n\n")
    if done.grid is not None:
        _print_flips(done.grid.flips())
    print(f"Results: {done.folder}  ({done.seconds:.0f} s)")


# ── printing ──────────────────────────────────────────────────────────────────────────────────────


def _kronor(value: float) -> str:
    """Whole kronor as such, others with öre; a dash where no amount is set."""
    return "–" if value != value else f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or value != value else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:.0f} %"


def _columns(rows: Sequence[Sequence[str]], ways: str) -> str:
    """Text in columns, each to the left (<) or right (>) as ``ways`` says; its last holds for further ones."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ways = ways.ljust(len(widths), ways[-1])
    lines = [[f"{text:{way}{width}}" for text, way, width in zip(row, ways, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def _print_published(amounts: pd.DataFrame, format: Format) -> None:
    from lakemedelsmodell.facts import SEXES

    columns = amounts[["year", "sex", "age_from", "age_to", "sek_per_month"]].astype({"age_to": "Int64"})
    if format is Format.csv:
        columns.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    source, unit, valid_from = (str(amounts[name].iloc[0]) for name in ("source", "unit", "valid_from"))
    if format is Format.json:
        rows = json.loads(columns.to_json(orient="records"))
        beside = {"unit": unit, "valid_from": valid_from, "source": source}
        print(json.dumps([row | beside for row in rows], ensure_ascii=False, indent=1))
        return
    print(f"Published amounts {amounts['year'].iloc[0]}, {unit}, by age and sex (K women, M men)\n")
    bands = amounts.pivot(index="age_from", columns="sex", values="sek_per_month")
    labels = dict(zip(amounts["age_from"], amounts["age_band"], strict=True))
    rows = [(labels[age], *(_kronor(bands.loc[age, s]) for s in SEXES)) for age in bands.index]
    print(_columns([("age", *SEXES), *rows], "<>"))
    print(f"\nSource: {source}")


def summary(results: Mapping[str, Any]) -> str:
    """What was paid, how far apart the centres end up under each model, and the headline contrast."""
    totals = results["totals"]
    size = [
        (results.get("period") or {}).get("label"),
        f"{totals['centres']:,} centres",
        f"{totals['persons']:,} persons" if totals["persons"] else None,
        f"cost {_number(totals['cost_sek'] / 1e6, 1)} MSEK",
        f"shared out {_number(totals['budget_sek'] / 1e6, 1)} MSEK",
    ]
    head = ("model", "SD", "noise floor", "P90−P10", "within ±2 %", "φ", "R²")
    rows = [
        (
            name,
            _number(m["spread"]["sd"]),
            _number(m["noise_floor"]),
            _number(m["spread"]["p90_p10"]),
            _percent(m["spread"]["within_2pct"]),
            _number(m["phi"], 4),
            _number(m["fit"]["r2"], 3),
        )
        for name, m in results["models"].items()
    ]
    return "\n".join(
        [
            " · ".join(part for part in size if part),
            *(f"Note: {warning}" for warning in results["warnings"]),
            "\nHow far apart the centres' net results lie, SEK per listed month",
            _columns([head, *rows], "<>"),
            *(f"\n{_headline(contrast)}" for contrast in results["contrasts"][:1]),
        ]
    )


def _print_summary(result: RunResult) -> None:
    print(summary(result.results), end="\n\n")
    reports = sorted(result.folder.glob("report.*.html"))
    for report in reports:
        print(f"Report: {report}")
    print(f"{'Tables' if reports else 'Results'}: {result.folder}  ({result.seconds:.0f} s)")


def _print_flips(flips: pd.DataFrame) -> None:
    """Along each dimension: the measure at its two ends, and where it changes sign."""
    head = ("measure", "dimension", "range", "there", "changes sign at")
    rows = [
        (
            f.measure,
            f.dimension,
            f"{f.low:g} to {f.high:g}",
            f"{_number(f.at_low, 3)} to {_number(f.at_high, 3)}",
            _number(f.flips_at, 3),
        )
        for f in flips.itertuples()
    ]
    print(_columns([head, *rows], "<<<<>"), end="\n\n")


def _headline(contrast: Mapping[str, Any]) -> str:
    change = _change(contrast["sd_ratio"])
    if change is None:
        return f"{contrast['model']} against {contrast['against']}: too few centres to compare."
    from math import exp

    text = f"{contrast['model']} against {contrast['against']}: the spread (SD) is {change}"
    if contrast["ci_low"] is not None and contrast["ci_high"] is not None:
        text += f" (95 % interval {_change(exp(contrast['ci_high']))} to {_change(exp(contrast['ci_low']))})"
    if (chance := _change(contrast["random_list_ratio"])) is not None:
        text += f".\nHad lists been composed at random it would be {chance}"
    return text + "."


def _change(ratio: float | None) -> str | None:
    if ratio is None or ratio != ratio:
        return None
    return f"{_percent(1 - ratio)} smaller" if ratio <= 1 else f"{_percent(ratio - 1)} larger"


def _print_explanations(
    tables: Sequence[AmountTable], age: int, sex: str, held: tuple[str, ...], lang: Language
) -> None:
    """One column per model, one row per named part, the sums at the foot; then what the models are."""
    from lakemedelsmodell.report.texts import Texts

    explained = [t.explain(age, sex, [c for c in held if c in t.conditions], lang) for t in tables]
    labels = {part.name: part.label for e in explained for part in e.parts}
    parts = [{part.name: _kronor(part.sek) for part in e.parts} for e in explained]
    unit, total = {"sv": ("kr per listad månad", "Summa"), "en": ("SEK per listed month", "Total")}[lang]
    rows = [(label, *(p.get(name, "") for p in parts)) for name, label in labels.items()]
    print(_columns([(unit, *(t.model for t in tables)), *rows, (total, *(_kronor(e.total) for e in explained))], "<>"))
    print()
    name = Texts(lang, "simulation").name
    print(_columns([(t.model, name("models", t.model), t.source) for t in tables], "<"))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr while it is a terminal; silence where it is a file or a pipe.

    A message that ends in "12 of 180" fills the bar that far; any other lets it run.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(what: str) -> None:
            counted = re.search(r"(\d+) of (\d+)$", what)
            done, total = map(int, counted.groups()) if counted else (0, None)
            bar.update(task, description=what, completed=done, total=total)

        yield report


# ── reading what the call says ────────────────────────────────────────────────────────────────────


def _languages(lang: Lang) -> tuple[str, ...]:
    return ("sv", "en") if lang is Lang.both else (lang.value,)


def _data_folder(path: Path) -> Path:
    """The folder of the four tables; a run folder of ``simulate`` keeps them in ``data``."""
    return path / "data" if (path / "results.json").is_file() and (path / "data").is_dir() else path


def _read(path: Path) -> HalfYear:
    from lakemedelsmodell.data.files import read_half_year

    with _progress() as progress:
        return read_half_year(_data_folder(path), progress=progress)


def _reporter(no_report: bool) -> Report | None:
    if no_report:
        return None
    from lakemedelsmodell.report import write_reports

    return write_reports


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text} is not a date. Write it as 2025-01-31.") from None


def _amount_tables(file: Path | None, model: str | None) -> list[AmountTable]:
    """Today's published table first, then the models people ask about, or the one asked for."""
    from lakemedelsmodell import facts
    from lakemedelsmodell.amounts import models_in, published_table, read_amounts

    source = file or Path(facts.__file__).with_name("reference_amounts.csv")
    today = published_table(max(facts.published_years()))
    names = [name for name in models_in(source) if name != today.model]
    if model is not None and model not in (today.model, *names):
        raise unknown_name("model", model, [today.model, *names])
    shown = [model] if model else [name for name in EXPLAINED if name in names] or names
    return [today, *(read_amounts(source, name) for name in shown if name != today.model)]


def _write_frame(frame: pd.DataFrame, out: Path) -> None:
    """Written whole or not at all; booleans in CSV are true and false."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".parquet":
            frame.to_parquet(part, index=False)
        else:
            import pyarrow
            from pyarrow import csv

            csv.write_csv(pyarrow.Table.from_pandas(frame, preserve_index=False), part)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    """Entry point: run the command, turn a user's mistake into one message and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"error: {f'{error.filename}: {error.strerror}' if error.filename else error}", file=sys.stderr)
        sys.exit(UserError.exit_code)
