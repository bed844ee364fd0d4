"""``table`` and ``explain``: kronor per listed month."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import Format, OneLang, amount_tables, progress_bar, read_data
from lakemedelsmodell.cli.printing import columns, kronor
from lakemedelsmodell.errors import UserError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.amounts import AmountTable, Language


@app.command(epilog=example("table --year 2026 --format csv"))
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

    half_year = read_data(derive)
    with progress_bar() as progress:
        progress(f"deriving the table for {year}")
        cells = derive_table(half_year, year)
    rows = [
        (c.age_band, c.sex, kronor(c.published), kronor(c.derived), "=" if c.equal else "differs")
        for c in cells.itertuples()
    ]
    print(columns([("age", "sex", "published", "derived", ""), *rows], "<<>"))
    print(f"equal cells: {int(cells['equal'].sum())} of {len(cells)}")


@app.command(epilog=example("explain --age 60 --sex M --condition diabetes_oral --condition doak --lang sv"))
def explain(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="With --centre: the run folder.")
    ] = None,
    age: Annotated[int | None, typer.Option(help="Age in completed years.", min=0, max=130)] = None,
    sex: Annotated[str | None, typer.Option(metavar="K|M", help="K (woman) or M (man).")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A condition held; repeat for several.")
    ] = None,
    amounts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="amounts.csv of a run; else those of the reference run.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Show this model alone beside today's amount; any model of the file.")
    ] = None,
    centre: Annotated[
        str | None, typer.Option(metavar="ID", help="A centre of RUN instead of a person.")
    ] = None,
    lang: Annotated[OneLang, typer.Option(help="Language.")] = OneLang.en,
) -> None:
    """One person's monthly reimbursement under each model, or one centre's over a run, as a sum of named parts."""
    if centre is not None:
        if run is None or any(given is not None for given in (age, sex, condition, amounts)):
            raise UserError("--centre goes with a run folder alone, such as: explain runs/small --centre VC001")
        from lakemedelsmodell.report.centre import TODAY, explain_centre

        shown_models = {} if model is None else {"models": tuple(dict.fromkeys((TODAY, model)))}
        print(explain_centre(run, centre, lang=lang.value, **shown_models))
        return
    if run is not None:
        raise UserError("A run folder goes with --centre; for a person give --amounts FILE.")
    if age is None or sex is None:
        raise UserError("Give --age and --sex of a person, or a run folder and --centre ID.")
    held = tuple(dict.fromkeys(condition or ()))
    shown = amount_tables(amounts, model)
    known = {name for amount_table in shown for name in amount_table.holdable}
    for name in held:
        if known and name not in known:
            raise unknown_name("condition", name, sorted(known))
    _print_explanations(shown, age, sex.upper(), held, lang.value)


def _print_published(amounts: pd.DataFrame, format: Format) -> None:
    from lakemedelsmodell.facts import SEXES

    chosen = amounts[["year", "sex", "age_from", "age_to", "sek_per_month"]].astype({"age_to": "Int64"})
    if format is Format.csv:
        chosen.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    source, unit, valid_from = (str(amounts[name].iloc[0]) for name in ("source", "unit", "valid_from"))
    if format is Format.json:
        rows = json.loads(chosen.to_json(orient="records"))
        beside = {"unit": unit, "valid_from": valid_from, "source": source}
        print(json.dumps([row | beside for row in rows], ensure_ascii=False, indent=1))
        return
    print(f"Published amounts {amounts['year'].iloc[0]}, {unit}, by age and sex (K women, M men)\n")
    bands = amounts.pivot(index="age_from", columns="sex", values="sek_per_month")
    labels = dict(zip(amounts["age_from"], amounts["age_band"], strict=True))
    rows = [(labels[age], *(kronor(bands.loc[age, s]) for s in SEXES)) for age in bands.index]
    print(columns([("age", *SEXES), *rows], "<>"))
    print(f"\nSource: {source}")


def _print_explanations(
    tables: Sequence[AmountTable], age: int, sex: str, held: tuple[str, ...], lang: Language
) -> None:
    """One column per model, one row per named part, the sums at the foot; then what the models are."""
    from lakemedelsmodell.report.texts import Texts

    explained = [t.explain(age, sex, [c for c in held if c in t.holdable or not t.holdable], lang) for t in tables]
    labels = {part.name: part.label for e in explained for part in e.parts}
    parts = [{part.name: kronor(part.sek) for part in e.parts} for e in explained]
    unit, total = {"sv": ("kr per listad månad", "Summa"), "en": ("SEK per listed month", "Total")}[lang]
    rows = [(label, *(p.get(name, "") for p in parts)) for name, label in labels.items()]
    print(columns([(unit, *(t.model for t in tables)), *rows, (total, *(kronor(e.total) for e in explained))], "<>"))
    print()
    name = Texts(lang, "simulation").name
    print(columns([(t.model, name("models", t.model), t.source) for t in tables], "<"))
