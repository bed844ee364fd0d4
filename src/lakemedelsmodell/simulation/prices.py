"""What a fill costs in the pharmacy, and on which days pharmacies are busy."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.simulation.scenario import Scenario
from lakemedelsmodell.simulation.streams import by_name


def monthly_prices(scenario: Scenario, substances: pd.DataFrame, seed: int) -> np.ndarray:
    """SEK per DDD by substance and month of the window, float64, shape (J, months).

    The price of 2025 × the index of the half-year (the nearest known one outside 2024H2 to 2026H1) × the month's
    tender where packs are exchangeable × the scenario's own changes.
    """
    months = Period(scenario.window.start, scenario.window.end).months
    known = sorted(column.removeprefix("price_index_") for column in substances if column.startswith("price_index_"))
    half_year = [min(max(f"{m.year}H{1 + (m.month > 6)}", known[0]), known[-1]) for m in months]
    index = substances[[f"price_index_{h}" for h in half_year]].to_numpy(dtype=np.float64)
    exchangeable = (substances[[f"price_index_{h}" for h in known]].to_numpy() != 1).any(axis=1)
    if not scenario.prices.drift:
        index = np.ones_like(index)
    codes = tuple(substances["atc"])
    sd = scenario.prices.monthly_sd
    tender = np.stack([np.exp(sd * by_name(f"tender {m:%Y-%m}", seed, codes) - sd**2 / 2) for m in months], axis=1)
    prices = substances["price_per_ddd_sek_2025"].to_numpy(dtype=np.float64)[:, None] * index
    prices[exchangeable] *= tender[exchangeable]
    for change in scenario.prices.changes:
        prices[np.ix_([c == change.atc for c in codes], [m >= change.from_ for m in months])] *= change.index
    return prices


def easter(year: int) -> date:
    """Easter Sunday (Meeus, Astronomical Algorithms, 1991, ch. 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    h = (19 * a + b - d - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def public_holidays(year: int) -> set[date]:
    """Swedish public holidays and the eves on which pharmacies mostly close."""
    sunday = easter(year)
    midsummer_eve = next(date(year, 6, d) for d in range(19, 26) if date(year, 6, d).weekday() == 4)
    return {date(year, m, d) for m, d in ((1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31))} | {
        sunday + timedelta(days=n) for n in (-2, -1, 0, 1, 39)} | {midsummer_eve, midsummer_eve + timedelta(days=1)}


def opening_days(start: date, days: int, weekend_share: float, holiday_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Per day from ``start``: share of the fills due that are made that day, and the next working day's number.

    float64 and int32, shape (days,); the last working day stands for those after the window.
    """
    dates = [start + timedelta(days=n) for n in range(days)]
    closed = set().union(*(public_holidays(year) for year in range(start.year, dates[-1].year + 1)))
    share = np.array([holiday_share if d in closed else weekend_share if d.weekday() >= 5 else 1.0 for d in dates])
    working = np.flatnonzero(share == 1.0)
    return share, working[np.minimum(np.searchsorted(working, np.arange(days)), len(working) - 1)].astype(np.int32)


def month_of_day(start: date, months: int) -> tuple[np.ndarray, np.ndarray]:
    """Month number of every day of the window, int16 (days,), and the first day of every month, int32 (months,)."""
    firsts = np.array([(add_months(start, m) - start).days for m in range(months + 1)])
    return np.repeat(np.arange(months), np.diff(firsts)).astype(np.int16), firsts[:-1].astype(np.int32)
