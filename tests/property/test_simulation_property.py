"""The simulator's kernels against plain readings of them."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lakemedelsmodell.simulation.prescribing import _next, in_order, solve_dynamics
from lakemedelsmodell.simulation.streams import Keyed
from lakemedelsmodell.simulation.world import opening_periods

DAYS = 730


@st.composite
def histories(draw):
    rows = sorted(draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, DAYS - 1), st.integers(0, 500_000),
                                          st.booleans()), max_size=40)), key=lambda r: r[:2])
    return rows, draw(st.lists(st.tuples(st.floats(0, 0.999), st.integers(365, 455)), min_size=4, max_size=4))


def plain_opening(rows, phase, lag):
    """One person's history, ``lag`` days earlier, followed day by day."""
    bought = [(day, ore) for _, day, ore, free in rows if not free]
    if not bought:
        return 0, 0
    days = [day for day, _ in bought]
    gaps = [b - a for a, b in zip(days, days[1:], strict=False)] + [days[0] + DAYS - days[-1]]
    wait = sum(g * g for g in gaps) / (2 * DAYS)
    ends, spent = int(max(365 - phase * (365 + wait), 0)), None
    for day, ore in bought:
        if day >= lag:
            break
        if day >= ends:
            ends, spent = day + 365, 0
        if spent is not None:
            spent += ore
    return (ends - lag, spent) if spent is not None and ends > lag else (0, 0)


@given(histories())
def test_opening_periods_are_those_of_the_history_followed_row_by_row(history):
    rows, persons = history
    charged = [(person, day, ore) for person, day, ore, free in rows if not free]
    columns = (np.array(column, dtype=np.int64) for column in (zip(*charged, strict=True) if charged else ([], [], [])))
    end, carried = opening_periods(
        *columns, np.array([p for p, _ in persons]), np.array([lag for _, lag in persons]), DAYS)
    for who, (phase, lag) in enumerate(persons):
        assert (end[who], carried[who]) == plain_opening([r for r in rows if r[0] == who], phase, lag)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 5)), max_size=40),
       st.sampled_from([0, 2**20 - 20, 2**31]))
def test_fills_lie_by_person_day_and_code_each_once_however_many_rows_there_are(fills, first):
    rows = pd.DataFrame(fills, columns=["who", "day", "code"], dtype=np.int64)
    rows["row"] = first + np.arange(len(rows))
    plain = rows.sort_values(["who", "day", "code", "row"]).drop_duplicates(["who", "day", "code"])
    found = in_order(*(rows[column].to_numpy() for column in rows))
    assert [part.tolist() for part in found] == [plain[column].tolist() for column in plain]


@given(st.lists(st.integers(0, 2**40), unique=True, min_size=2, max_size=50), st.integers(0, 5))
def test_keyed_numbers_do_not_depend_on_who_else_is_asked(index, draw):
    numbers = Keyed("test", 1, "VC001").uniform(np.array(index), draw)
    assert ((numbers > 0) & (numbers < 1)).all()
    assert (Keyed("test", 1, "VC001").uniform(np.array(index[:1]), draw) == numbers[:1]).all()
    assert len(np.unique(numbers)) == len(index)


def test_keyed_numbers_are_uniform_and_independent_across_draws_and_streams():
    n = 200_000
    index = np.arange(n)
    a, b, c = (Keyed(purpose, 1, "VC001").uniform(index, draw) for purpose, draw in (("a", 0), ("a", 1), ("b", 0)))
    for u in (a, b, c):
        counts = np.bincount((u * 100).astype(int), minlength=100)
        assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 99 + 4 * np.sqrt(2 * 99)
    for u, v in ((a, b), (a, c), (a[1:], a[:-1])):
        assert abs(np.corrcoef(u, v)[0, 1]) < 4 / np.sqrt(n)


@settings(max_examples=30)
@given(st.floats(0.05, 5), st.floats(0.05, 5), st.floats(0, 1.5), st.floats(0.1, 1.9), st.integers(0, 1000))
def test_next_event_has_the_survival_its_hazard_says(before, after, jump, turn, seed):
    """Survival past t is exp(−cumulative hazard), before and after the turn."""
    n = 40_000
    times = _next(np.zeros(n), np.random.default_rng(seed).standard_exponential(n), np.full(n, turn),
                  np.full(n, before), np.full(n, jump), np.full(n, after))
    for t in (turn / 2, turn + 0.3):
        survival = np.exp(-(before * min(t, turn) + (jump + after * (t - turn) if t > turn else 0)))
        assert abs((times > t).mean() - survival) < 4.5 * np.sqrt(survival * (1 - survival) / n) + 1e-9


@settings(max_examples=15, deadline=None)
@given(st.floats(0.02, 0.6), st.floats(0.4, 0.93), st.floats(2.5, 6))
def test_a_year_s_users_fills_and_persistence_are_those_asked_for(use, persistence, fills):
    """Two-state process with the rates found, followed for two years person by person."""
    n = 40_000
    dynamics = solve_dynamics(np.full((n, 1), use), np.array([persistence]), np.array([fills]))
    on, stop, rate = dynamics.on(np.array([use]), np.zeros(1, int))[0], dynamics.stop[0], dynamics.refills[0]
    rng = np.random.default_rng(5)
    filled, number = np.zeros((n, 2), bool), np.zeros(n)
    state, time = rng.random(n) < on, np.zeros(n)
    next_fill = np.where(state, rng.random(n) / rate, np.inf)
    until = np.where(state, rng.exponential(1 / stop, n), rng.exponential((1 - on) / (stop * on), n))
    for _ in range(4000):
        time = np.minimum(until, next_fill)
        live = time < 2
        if not live.any():
            break
        fill, change = live & (next_fill <= until), live & (next_fill > until)
        filled[fill, (time[fill] >= 1).astype(int)] = True
        number[fill] += 1
        next_fill[fill] += 1 / rate
        starts, stops = change & ~state, change & state
        next_fill[starts], next_fill[stops] = until[starts], np.inf
        until[starts] += rng.exponential(1 / stop, starts.sum())
        until[stops] += rng.exponential((1 - on) / (stop * on), stops.sum())
        state ^= change
    assert abs(filled.mean() - use) < 0.06 * use + 3 * np.sqrt(use / n)  # of few users some of it is chance
    assert abs(number.sum() / filled.sum() - fills) < 0.07 * fills
    again = (filled[:, 0] & filled[:, 1]).sum() / filled[:, 0].sum()
    most_stops = stop > 1.99 * (1 - persistence) / persistence
    near = 0.03 + 2 / np.sqrt(filled[:, 0].sum())
    assert again > persistence - near if most_stops else abs(again - persistence) < near
