"""The amount table as a region publishes it: one page that says what is paid for whom, as HTML, PDF and XLSX.

The three hold the same :class:`Publication`; the same amounts give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import COUNTS, AmountTable, read_amounts
from lakemedelsmodell.conditions import ConditionSet, condition_set
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import EXAMPLES
from lakemedelsmodell.facts import BAND_FROM, SEXES
from lakemedelsmodell.report.blocks import templates
from lakemedelsmodell.report.numbers import Numbers
from lakemedelsmodell.report.texts import texts_of

if TYPE_CHECKING:
    from fpdf import FPDF

EXAMPLE_DRUGS = 4
"""Drugs named beside the ATC codes of a condition: those most used."""


@dataclass(frozen=True)
class AddOn:
    """One add-on: SEK per listed month (nan: none is set), the rule in words, the codes and the drugs they mean.

    ``half_width`` is half its 95 % interval, nan where that is not known.
    """

    name: str
    label: str
    sek: float
    rule: str = ""
    codes: str = ""
    drugs: str = ""
    half_width: float = math.nan


@dataclass(frozen=True)
class Publication:
    """What is published of one model, in one language.

    Attributes
    ----------
    table : AmountTable
        SEK per listed month.
    bands : tuple of (label of the band, women, men), each SEK per listed month and half its 95 % interval or nan
    add_ons : tuple of AddOn
    examples : tuple of (name, tuple of (label, SEK per listed month), total)
    notes : tuple of str
        What a reader must know: how add-ons go together, what is paid besides, amounts that are not whole or below 0.
    origin : tuple of (what, value)
        Valid from, model, source, condition list, run and signature.
    """

    lang: str
    table: AmountTable
    bands: tuple[tuple[str, tuple[float, float], tuple[float, float]], ...]
    add_ons: tuple[AddOn, ...]
    examples: tuple[tuple[str, tuple[tuple[str, float], ...], float], ...]
    notes: tuple[str, ...]
    origin: tuple[tuple[str, str], ...]

    @property
    def number(self) -> Numbers:
        return Numbers(self.lang)

    def text(self, key: str, **values: object) -> str:
        return texts_of("publication", self.lang)[key].format(**values)

    @property
    def sure(self) -> bool:
        """Whether an interval of any amount is known."""
        return not all(map(math.isnan, (*(half for _, *both in self.bands for _, half in both),
                                        *(a.half_width for a in self.add_ons))))

    def kronor(self, sek: float) -> str:
        """Whole kronor as such, others with öre; a dash where no amount is set."""
        return self.number.whole_or(sek, 2)

    def about(self, half_width: float) -> str:
        """Half an interval in whole kronor, ``±4``; nothing where it is not known."""
        return "" if math.isnan(half_width) else f"±{self.number.number(half_width)}"


def signature(table: AmountTable) -> str:
    """SHA-256 of the model's rows of amounts.csv: two tables with the same signature pay the same."""
    rows = table.to_frame().to_csv(index=False, lineterminator="\n", float_format="%.10g")
    return hashlib.sha256(rows.encode()).hexdigest()


def publication(table: AmountTable, lang: str, results: Mapping[str, Any] | None = None) -> Publication:
    """What to publish of ``table`` in ``sv`` or ``en``; ``results`` are those of the run that set it (results.json)."""
    words, run = texts_of("publication", lang), (results or {}).get("run") or {}
    half = _half_widths(table, results or {})
    last = len(BAND_FROM) - 1
    women, men = ([(float(table.cells[b, s]), half.get((age, sex), math.nan)) for b, age in enumerate(BAND_FROM)]
                  for s, sex in enumerate(SEXES))
    bands = tuple((words["band_last"].format(age=age) if b == last else f"{age}–{age + 4}", women[b], men[b])
                  for b, age in enumerate(BAND_FROM))
    add_ons = tuple(replace(a, half_width=half.get(a.name, math.nan))
                    for a in _add_ons(table, _conditions(table), lang))
    told = Publication(lang, table, bands, add_ons, _examples(table, lang), _notes(table, lang),
                       _origin(table, lang, run))
    return replace(told, notes=(*told.notes, words["intervals"])) if told.sure else told


def _half_widths(table: AmountTable, results: Mapping[str, Any]) -> dict[Any, float]:
    """(age_from, sex) or condition → half the 95 % interval, SEK; of the amounts the run has set and no others."""
    amounts: dict[Any, float] = dict(zip(table.conditions, map(float, table.add_ons), strict=True))
    amounts |= {(age, sex): float(table.cells[b, s]) for b, age in enumerate(BAND_FROM) for s, sex in enumerate(SEXES)}
    rows = (results.get("amount_intervals") or {}).get(table.model, ())
    told = {row["name"] if row["kind"] == "condition" else (row["age_from"], row["sex"]): row for row in rows}
    return {key: (row["ci_high"] - row["ci_low"]) / 2 for key, row in told.items()
            if None not in (row["ci_low"], row["ci_high"]) and row["sek_per_month"] == amounts.get(key)}


def _conditions(table: AmountTable) -> ConditionSet | None:
    try:
        return condition_set(table.condition_set) if table.condition_set and table.conditions else None
    except UserError:
        return None  # a list of the user's own that is not at hand: its names stand for themselves


def _add_ons(table: AmountTable, conditions: ConditionSet | None, lang: str) -> tuple[AddOn, ...]:
    words, found = texts_of("publication", lang), []
    for name, sek in zip(table.conditions, map(float, table.add_ons), strict=True):
        if table.kind == "count":
            key = "count_last" if name == COUNTS[-1] else "count_one" if name == "1" else "count"
            found.append(AddOn(name, words[key].format(number=name.rstrip("+")), sek))
        elif conditions is None:
            found.append(AddOn(name, name, sek))
        else:
            c = conditions[name]
            codes = ", ".join(c.include) + (words["except"].format(codes=", ".join(c.exclude)) if c.exclude else "")
            found.append(AddOn(name, c.label(lang), sek, conditions.describe(name, lang, table.rule), codes,
                               _drugs(conditions, name)))
    return tuple(found)


def _drugs(conditions: ConditionSet, name: str) -> str:
    known = facts.substances()
    mine = known[known["atc"].map(conditions[name].matches)]
    ranked = mine.sort_values(["ddd_per_person_year", "atc"], ascending=[False, True], kind="stable")
    return ", ".join(dict.fromkeys(ranked["substance_sv"]).keys() if len(ranked) <= EXAMPLE_DRUGS else
                     [*dict.fromkeys(ranked["substance_sv"])][:EXAMPLE_DRUGS] + ["…"])


def _examples(table: AmountTable, lang: str) -> tuple[tuple[str, tuple[tuple[str, float], ...], float], ...]:
    """The region's two worked examples, where the table knows their conditions."""
    found = []
    for who, (age, sex, held) in EXAMPLES.items():
        try:
            explained = table.explain(age, sex, held, lang)  # type: ignore[arg-type]
        except UserError:
            continue
        found.append((who, tuple((p.label, p.sek) for p in explained.parts), explained.total))
    return tuple(found)


def _notes(table: AmountTable, lang: str) -> tuple[str, ...]:
    import numpy as np

    words = texts_of("publication", lang)
    amounts = np.concatenate([table.cells.reshape(-1), table.paid_add_ons])
    set_amounts = amounts[~np.isnan(amounts)]
    below = int((table.cells < 0).sum())
    said = [words[f"together_{table.kind}"]] if table.conditions else []
    if note := table.explain(40, "K", (), lang).note:  # type: ignore[arg-type]
        said.append(note)
    if below:
        said.append(words["below_zero"].format(cells=below, of=table.cells.size))
    if (set_amounts != np.floor(set_amounts)).any():
        said.append(words["not_whole"])
    if np.isnan(table.cells).any() or np.isnan(table.add_ons).any():
        said.append(words["unset"])
    return tuple(said)


def _origin(table: AmountTable, lang: str, run: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    words, versions = texts_of("publication", lang), run.get("versions") or {}
    title = (run.get("scenario_title") or {}).get(lang)
    told = {
        "valid_from": table.valid_from.isoformat() if table.valid_from else words["valid_from_unknown"],
        "model": f"{texts_of('', lang).get(f'models.{table.model}', table.model)} ({table.model})",
        "rule": words[f"rule_{table.rule}"] if table.rule else None,
        "condition_set": table.condition_set if table.conditions else None,
        "source": table.source or None,
        "data": words["simulated"].format(title=title) if run.get("kind") == "simulation" and title else None,
        "content": run.get("content_hash"),
        "version": versions.get("lakemedelsmodell"),
        "signature": signature(table),
    }
    return tuple((words[f"origin_{key}"], str(value)) for key, value in told.items() if value)


def publish(amounts: Path, model: str, folder: Path, langs: tuple[str, ...]) -> list[Path]:
    """Write ``amounts.<lang>.html``, ``.pdf`` and ``.xlsx`` of one model into ``folder``; returns the paths.

    What results.json beside ``amounts`` says of its run is told. Raises UserError and DataError as
    :func:`~lakemedelsmodell.amounts.read_amounts`.
    """
    table = read_amounts(amounts, model)
    beside = amounts.with_name("results.json")
    results = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else None
    written = []
    for lang in langs:
        told = publication(table, lang, results)
        html, pdf, workbook = (folder / f"amounts.{lang}.{kind}" for kind in ("html", "pdf", "xlsx"))
        html.write_text(as_html(told), encoding="utf-8", newline="\n")
        pdf.write_bytes(as_pdf(told))
        as_workbook(told, workbook)
        written += [html, pdf, workbook]
    return written


def as_html(told: Publication) -> str:
    """A self-contained page."""
    return templates().get_template("publication.html").render(p=told, t=told.text, kronor=told.kronor)


# PDF ----------------------------------------------------------------------------------------------

_INK, _SOFT, _LINE = (29, 39, 51), (82, 96, 109), (213, 219, 225)


def as_pdf(told: Publication) -> bytes:
    """An A4 document with the same content."""
    from fpdf import FPDF
    from fpdf.enums import TableBordersLayout

    pdf = FPDF(format="A4")
    _fonts(pdf)
    pdf.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))  # the same table, the same bytes
    pdf.set_title(told.text("title"))
    pdf.set_lang(told.lang)
    pdf.set_margin(16)
    pdf.set_auto_page_break(True, 16)
    pdf.add_page()

    def heading(text: str, size: int) -> None:
        pdf.ln(3)
        pdf.set_font("sans", "B", size)
        pdf.set_text_color(_INK)
        pdf.multi_cell(0, size * 0.5, text, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(1)

    def paragraph(text: str, size: float = 9.5, color: tuple[int, int, int] = _INK) -> None:
        pdf.set_font("sans", "", size)
        pdf.set_text_color(color)
        pdf.multi_cell(0, size * 0.5, text, new_x="LMARGIN", new_y="NEXT", align="L")
        pdf.ln(1)

    def table(rows: list[tuple[str, ...]], widths: tuple[float, ...], ways: tuple[str, ...], heads: bool = True
              ) -> None:
        pdf.set_font("sans", "", 8.5)
        pdf.set_text_color(_INK)
        pdf.set_draw_color(_LINE)
        with pdf.table(rows, width=sum(widths), col_widths=widths, text_align=ways, align="L", line_height=4.3,
                       borders_layout=TableBordersLayout.HORIZONTAL_LINES, gutter_width=2.5, padding=0.6,
                       first_row_as_headings=heads):
            pass
        pdf.ln(2)

    heading(told.text("title"), 18)
    paragraph(told.text("lead"), 10.5, _SOFT)
    for note in told.notes:
        paragraph(note)
    heading(told.text("cells_head"), 13)
    plus_minus = (told.text("plus_minus"),) * told.sure
    table([(told.text("age"), told.text("women"), *plus_minus, told.text("men"), *plus_minus),
           *((label, *(x for sek, half in both for x in (told.kronor(sek), *(told.about(half),) * told.sure)))
             for label, *both in told.bands)],
          (38, *(28, 14) * 2) if told.sure else (38, 34, 34), ("LEFT", *("RIGHT",) * (4 if told.sure else 2)))
    if told.add_ons:
        heading(told.text("add_ons_head"), 13)
        table([(told.text("condition"), told.text("amount"), *plus_minus, told.text("rule")),
               *((a.label, told.kronor(a.sek), *(told.about(a.half_width),) * told.sure, a.rule)
                 for a in told.add_ons)],
              (58, 24, *(12,) * told.sure, 84), ("LEFT", "RIGHT", *("RIGHT",) * told.sure, "LEFT"))
    for who, parts, total in told.examples:
        heading(told.text("example", who=who), 11)
        table([*((label, told.kronor(sek)) for label, sek in parts), (told.text("total"), told.kronor(total))],
              (110, 28), ("LEFT", "RIGHT"), heads=False)
    if any(a.codes for a in told.add_ons):
        heading(told.text("drugs_head"), 13)
        table([(told.text("condition"), told.text("codes"), told.text("drugs")),
               *((a.label, a.codes, a.drugs) for a in told.add_ons)], (52, 58, 68), ("LEFT",) * 3)
    heading(told.text("origin_head"), 13)
    table(list(told.origin), (42, 136), ("LEFT", "LEFT"), heads=False)
    return bytes(pdf.output())


def _fonts(pdf: FPDF) -> None:
    """A typeface that has every letter of both languages, the minus sign and the dashes."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdf.add_font("sans", "", fonts / "DejaVuSans.ttf")
    pdf.add_font("sans", "B", fonts / "DejaVuSans-Bold.ttf")


# XLSX ---------------------------------------------------------------------------------------------


def as_workbook(told: Publication, path: Path) -> None:
    """A workbook with a sheet per table; amounts are numbers, text is never a formula."""
    from lakemedelsmodell.report.workbook import new_workbook

    with new_workbook(path) as book:
        plus_minus = (told.text("plus_minus"),) * told.sure
        book.sheet(told.text("sheet_cells"),
                   [told.text("age"), told.text("women"), *plus_minus, told.text("men"), *plus_minus],
                   [(label, *(x for amount in both for x in (amount if told.sure else amount[:1])))
                    for label, *both in told.bands])
        if told.add_ons:
            book.sheet(told.text("sheet_add_ons"),
                       [told.text("name"), told.text("condition"), told.text("amount"), *plus_minus,
                        *(told.text(k) for k in ("rule", "codes", "drugs"))],
                       [(a.name, a.label, a.sek, *(a.half_width,) * told.sure, a.rule, a.codes, a.drugs)
                        for a in told.add_ons])
        book.sheet(told.text("sheet_origin"), [told.text("what"), told.text("value")],
                   [*told.origin, *((told.text("note"), note) for note in told.notes)])
