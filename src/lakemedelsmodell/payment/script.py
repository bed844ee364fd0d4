"""The payment as one SQL script for the data warehouse, where neither Python nor this package is needed.

All dialects come from one template; ``templates/<dialect>.sql`` holds what an engine writes in its own way. Tests run
the script and hold its result equal to :func:`~lakemedelsmodell.payment.month.pay`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.errors import unknown_name
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS, SEXES
from lakemedelsmodell.payment.month import CNI_PARTS, Months, Tariff, conditions_of

DIALECTS = {"tsql": "SQL Server (T-SQL)", "postgres": "PostgreSQL", "spark": "Spark SQL", "duckdb": "DuckDB"}
"""What the script can be written for, and its name."""

TEMPLATES = Path(__file__).with_name("templates")
LAST_BAND = 12 * BAND_FROM[-1]
"""Months lived from which the last age band is open."""


def payment_sql(table: AmountTable, month: date, dialect: str, conditions: ConditionSet | None = None,
                months: Months = "snapshot") -> str:
    """The script that pays the month beginning on ``month`` by ``table``; ``dialect`` is one of :data:`DIALECTS`.

    Its result has one row per centre and component, as :meth:`Payment.to_frame` (and rows of kind ``check`` where the
    data are wrong). Raises UserError as :func:`~lakemedelsmodell.payment.month.pay`, and for an unknown dialect.
    """
    import jinja2

    if dialect not in DIALECTS:
        raise unknown_name("dialect", dialect, DIALECTS)
    conditions = (conditions or conditions_of(table)).under(table.rule)
    tariff = Tariff.of(table)
    following = add_months(month, 1)
    lookback = Period.half_year_of(month).before(12)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["rows"] = _rows
    environment.filters["quoted"] = _quoted
    return environment.get_template("payment.sql").render(
        dialect=dialect, title=DIALECTS[dialect], table=table, month=month, following=following, lookback=lookback,
        snapshot=months == "snapshot", days_in_month=(following - month).days,
        month_number=12 * month.year + month.month, last_band=LAST_BAND, cni_parts=CNI_PARTS, per_cni=tariff.per_cni,
        cells=_cells(tariff), add_ons=_add_ons(tariff), listed_rule=table.rule == "listed",
        **_of_conditions(conditions, tariff))


def _cells(tariff: Tariff) -> list[tuple[Any, ...]]:
    """Months lived at the start of the band, sex, name, age_from, öre (NULL where no amount is set)."""
    return [(12 * start, sex, BAND_LABELS[b], start, None if tariff.unset[2 * b + s] else int(tariff.cells[2 * b + s]))
            for b, start in enumerate(BAND_FROM) for s, sex in enumerate(SEXES)]


def _add_ons(tariff: Tariff) -> list[tuple[Any, ...]]:
    """Name, place in the order of height (where only the highest is paid, else 0), öre; those that pay nothing not."""
    if tariff.table.kind == "highest":
        return [(tariff.table.conditions[c], place, int(tariff.add_ons[c]))
                for place, c in enumerate(tariff.by_height(), 1)]
    return [(name, 0, int(ore)) for name, ore in zip(tariff.table.conditions, tariff.add_ons, strict=True) if ore]


def _of_conditions(conditions: ConditionSet, tariff: Tariff) -> dict[str, Any]:
    """The condition list as rows for the script."""
    every = conditions.conditions if tariff.table.conditions else ()
    return {
        "prefixes": [(c.name, code) for c in every for code in c.include],
        "excluded": [(c.name, code) for c in every for code in c.exclude],
        "limits": [(c.name, c.min_dates or 0, c.min_days_apart or 0, _thousandths(c.min_ddd),
                    _thousandths(c.min_packages)) for c in every if c.include],
        "many_dates": any((c.min_dates or 0) > 2 for c in every),
        "levels": [{"names": [c.name for c in level], "made": [c.name for c in level if not c.include],
                    "needs": [(c.name, other, len(c.requires)) for c in level for other in c.requires]}
                   for level in _levels(every)],
        "yields": [(c.name, other) for c in every for other in c.yields_to],
        "reported": list(conditions.names),
        "markers": [c.name for c in every if c.marker_only],
    }


def _thousandths(limit: float | None) -> int:
    """As the flags' own thresholds: what a float adds in its last digit does not raise them."""
    return math.ceil(round((limit or 0) * 1000, 6))


def _levels(conditions: Iterable[Condition]) -> list[list[Condition]]:
    """Conditions that require others, those first on which others build."""
    by_name = {c.name: c for c in conditions}

    def depth(c: Condition) -> int:
        return 1 + max(depth(by_name[name]) for name in c.requires) if c.requires else 0

    depths = {c.name: depth(c) for c in by_name.values()}
    return [[c for c in by_name.values() if depths[c.name] == d] for d in range(1, max(depths.values(), default=0) + 1)]


def _quoted(value: Any) -> str:
    """A value as an SQL literal."""
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _rows(rows: Iterable[tuple[Any, ...]]) -> str:
    """Rows of a VALUES list, one a line."""
    return ",\n".join("    (" + ", ".join(map(_quoted, row)) + ")" for row in rows)
