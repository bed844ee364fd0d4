"""The data dictionary on the data page is that of the readers."""

from pathlib import Path

import pytest

from lakemedelsmodell.data import cohort_file, totals_file
from lakemedelsmodell.data.columns import STAND_INS, TABLES, Column
from lakemedelsmodell.data.tables import KINDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
HOLDS = {
    "person": "pseudonym: whole number or text",
    "text": "text",
    "date": "date",
    "month": "YYYY-MM or a date",
    "year": "YYYY",
    "sex": "K or 2, M or 1",
    "number": "number",
    "bool": "true/false, 1/0 or ja/nej",
    "atc": "ATC code",
}


def dictionary(tables: dict[str, tuple[Column, ...]]) -> str:
    rows = [("table", "column", "holds", "must be there", "may be empty"), ("---",) * 5]
    for table, columns in tables.items():
        for c in columns:
            others = "".join(f" (or {name}: {HOLDS[kind]})" for name, kind in STAND_INS.get(c.name, ()))
            rows.append((table, c.name, HOLDS[c.kind] + others, "yes" if c.needed else "", "" if c.filled else "yes"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def counted() -> str:
    return "\n".join(f"- `{kind}`: {what}" for kind, what in sorted(KINDS.items()))


@pytest.mark.parametrize(
    "part", [dictionary(TABLES), dictionary({"cohort": cohort_file.COLUMNS}),
             dictionary({"totals": totals_file.NEEDED}), counted()], ids=["tables", "cohort", "totals", "counted"])
def test_the_data_page_shows_what_is_read(part):
    assert part in PAGE, f"put this into docs/data.md:\n{part}"
