"""Half-years of a few rows, written down by hand or drawn."""

from __future__ import annotations

from datetime import date

import pandas as pd

from lakemedelsmodell.data.tables import HalfYear

CENTRES = [("A", "Centre A"), ("B", "Centre B")]


def day(text: str | date | None) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else text


def half_year(dispensings, *, persons=(("1", "K", "1960-05", None),), listings=(("1", "A", "2020-01-01", None),),
              centres=CENTRES, base_drugs=None, **columns) -> HalfYear:
    """A half-year from tuples: dispensings are (person, date, atc, packages, ddd, cost); ``columns`` are optional ones.

    Ids are text so that "1" and "2" read well; they become numbers on the way in.
    """
    rows = [(person, day(on), *rest) for person, on, *rest in dispensings]
    frame = pd.DataFrame(rows, columns=["person_id", "date", "atc", "packages", "ddd", "cost"])
    return HalfYear.from_frames(
        centres=pd.DataFrame(centres, columns=["centre_id", "name"]),
        persons=pd.DataFrame([(p, s, b, day(d)) for p, s, b, d in persons],
                             columns=["person_id", "sex", "birth_month", "death_date"]),
        listings=pd.DataFrame([(p, c, day(a), day(b)) for p, c, a, b in listings],
                              columns=["person_id", "centre_id", "start_date", "end_date"]),
        dispensings=frame.assign(**columns),
        base_drugs=None if base_drugs is None else pd.DataFrame(
            [(atc, day(a), day(b)) for atc, a, b in base_drugs], columns=["atc", "from_date", "to_date"]),
    )
