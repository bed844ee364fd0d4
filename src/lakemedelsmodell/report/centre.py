"""One centre's result as a sum: what each part of its list brings under today's model and under the proposal."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lakemedelsmodell.errors import UserError, unknown_name
from lakemedelsmodell.report.contents import PROPOSAL, TODAY, read_run
from lakemedelsmodell.report.numbers import Numbers
from lakemedelsmodell.report.texts import texts_of


@dataclass(frozen=True)
class CentreSum:
    """A centre's reimbursement as named parts, its share of the cost and its net, over the period.

    Attributes
    ----------
    name : str
    listed_months : float
    models : tuple of str
    rows : tuple of (label, SEK by model; None where the model has no such part)
        Parts first; then reimbursement, own cost, net, and net in SEK per listed month.
    lang : str
    """

    name: str
    listed_months: float
    models: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    lang: str

    def cells(self) -> list[tuple[str, ...]]:
        """Head and rows as text; SEK without öre, but for the last row, which is per listed month."""
        number, words = Numbers(self.lang), texts_of("centre", self.lang)
        head = (words["unit"], *(texts_of("", self.lang)[f"models.{m}"] for m in self.models))
        return [head, *((label, *(number.number(sek, 2 if label == words["per_month"] else 0) for sek in values))
                        for label, values in self.rows)]

    def __str__(self) -> str:
        rows = self.cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{text:{'<' if i == 0 else '>'}{width}}" for i, (text, width) in
                           enumerate(zip(row, widths, strict=True))) for row in rows]
        return "\n".join([self._title(), *lines])

    def _title(self) -> str:
        months = Numbers(self.lang).number(self.listed_months)
        return texts_of("centre", self.lang)["title"].format(name=self.name, months=months)

    def _repr_html_(self) -> str:
        head, *rows = self.cells()
        body = "".join(f"<tr><th style='text-align:left'>{escape(row[0])}</th>"
                       + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>" for row in rows)
        return (f"<table><caption>{escape(self._title())}</caption><tr>"
                + "".join(f"<th>{escape(text)}</th>" for text in head) + f"</tr>{body}</table>")


def explain_centre(run: str | Path, centre_id: str, models: Sequence[str] = (TODAY, PROPOSAL), lang: str = "en"
                   ) -> CentreSum:
    """What each part of a centre's list brings, by model, from a run folder.

    Raises UserError for a folder without contributions, an unknown centre, or a model whose amounts do not add up.
    """
    folder = Path(run)
    contents = read_run(folder)
    file = folder / "contributions.csv"
    if not file.is_file():
        raise UserError(f"{folder} holds no contributions.csv, so that a centre's result cannot be taken apart. "
                        "Run evaluate or simulate again.")
    totals = {row["model"]: row for row in contents.centre_rows if row["centre_id"] == centre_id}
    if not totals:
        raise unknown_name("centre", centre_id, sorted({row["centre_id"] for row in contents.centre_rows}))
    with file.open(encoding="utf-8", newline="") as handle:
        parts = [row for row in csv.DictReader(handle) if row["centre_id"] == centre_id]
    known = list(dict.fromkeys(row["model"] for row in parts))
    for model in models:
        if parts and model not in known:
            raise unknown_name("model that adds up", model, known)
    if not parts or not all(totals[model]["reimbursement_sek"] for model in models):
        raise UserError(f"What {centre_id} gets is not shown: fewer than five persons could be told of.")
    words = texts_of("centre", lang)
    labels = {str(c.at("name")): str(c.at(f"label_{lang}")) for c in contents.results.parts("conditions")}

    def label(row: dict[str, str]) -> str:
        named = words.get(row["kind"])
        return named if named is not None else labels.get(row["name"], row["name"])

    by_label: dict[str, dict[str, float]] = {}
    for row in parts:
        if row["model"] in models:
            of_model = by_label.setdefault(label(row), {})
            of_model[row["model"]] = of_model.get(row["model"], 0.0) + float(row["sek"])
    # What is merged, for want of persons, stands last.
    order = sorted(by_label, key=lambda name: (name == words["few"], name == words["pool"]))
    sums = (("reimbursement", "reimbursement_sek"), ("own_cost", "own_cost_sek"), ("net", "net_sek"),
            ("per_month", "net_sek_per_listed_month"))
    rows = [*((name, tuple(by_label[name].get(m) for m in models)) for name in order),
            *((words[key], tuple(float(totals[m][column]) if totals[m][column] else None for m in models))
              for key, column in sums)]
    first = totals[models[0]]
    return CentreSum(first["name"] or centre_id, float(first["listed_months"]), tuple(models), tuple(rows), lang)
