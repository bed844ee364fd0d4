"""The same dispensings at other prices: what a period would have cost had some codes been cheaper or dearer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import UserError


def at_new_prices(half_year: HalfYear, price_index: Mapping[str, float], since: date) -> HalfYear:
    """A half-year where what is dispensed of a code from ``since`` on costs ``price_index`` times as much.

    Both the region's cost and the gross price. The patient's fee is left as it was, which overstates what the region
    saves on those who have not reached the ceiling. Nothing else changes: doses, dates and flags stay.

    Raises UserError for a code that the data do not have, or an index that is not a number ≥ 0.
    """
    import ibis

    index = {code.strip().upper(): float(new) for code, new in price_index.items()}
    known = set(half_year.codes["atc"])
    for code, new in index.items():
        if code not in known:
            raise UserError(f"Nothing of {code} is dispensed in the data, so its price changes nothing.")
        if not 0 <= new < math.inf:
            raise UserError(f"The price index of {code} is not a number of 0 or more: {new}.")
    rows = half_year.dispensings
    factor = ibis.ifelse(rows.date >= since,
                         ibis.cases(*((rows.atc == code, new) for code, new in index.items()), else_=1.0), 1.0)
    priced = rows.mutate(cost=rows.cost * factor, gross_price=rows.gross_price * factor)
    return replace(half_year, dispensings=priced, rows=None, flags_read={},
                   content_hash=f"{half_year.content_hash} at new prices {sorted(index.items())} {since}")
