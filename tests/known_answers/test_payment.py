"""One month's payment on a few persons, by hand: what is paid, why it changed, what is merged, what is refused."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from half_years import half_year
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.flags import build_cohort
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.folders import neutral
from lakemedelsmodell.measures.disclosure import merged
from lakemedelsmodell.payment import changes_between, pay
from lakemedelsmodell.payment.folder import control_frame, payments_frame, sek, shown_lines
from lakemedelsmodell.payment.month import half_away
from lakemedelsmodell.payment.summary import percent
from lakemedelsmodell.settlement import unscaled_reimbursement

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
SET = ConditionSet("test", (Condition("diabetes", include=("A10",)), Condition("heart", include=("C09",)),
                            Condition("cancer", include=("L01",))))
DIABETES, HEART = ("2025-03-01", "A10BA02"), ("2025-03-01", "C09AA01")


def amounts(cell=100.0, add_ons=(50, 20, 300), kind="condition", **more) -> AmountTable:
    """Women get ``cell``, men 10 more, and 1 more a band; add-ons for diabetes, heart and cancer."""
    cells = cell + np.arange(21)[:, None] + np.array([0, 10])
    names = ("1", "2", "3", "4+") if kind == "count" else SET.names
    return AmountTable("test", cells, names, np.array(add_ons, dtype=float), kind=kind, rule="dispensed", **more)


def region(bought=(), persons=(("1", "K", "1960-05", None),), listings=(("1", "A", "2020-01-01", None),), **more):
    """Dispensings are (person, date, code); persons of 66 are in band 13 unless said otherwise."""
    rows = [(p, on, atc, 1, 30.0, 10.0) for p, on, atc in bought]
    rows = rows or [("1", "2025-01-01", "N02BE01", 1, 30.0, 10.0)]
    return half_year(rows, persons=persons, listings=listings, **more)


def paid(year, table, month=JUNE, months="snapshot") -> dict[str, int]:
    """Öre by centre."""
    payment = pay(year, table, month, conditions=SET, months=months)
    return dict(zip(payment.centre_ids, payment.centre_ore.tolist(), strict=True))


def test_a_woman_of_66_with_two_conditions():
    year = region([("1", *DIABETES), ("1", *HEART)])
    payment = pay(year, amounts(), JUNE, conditions=SET)
    lines = payment.to_frame()
    assert lines[["kind", "name", "persons", "listed_months", "ore_per_month", "ore"]].values.tolist() == [
        ["age_sex", "65-69", 1, 1, 11300, 11300], ["condition", "diabetes", 1, 1, 5000, 5000],
        ["condition", "heart", 1, 1, 2000, 2000]]
    assert payment.control() == {"by_component_ore": 18300, "by_centre_ore": 18300, "by_person_ore": 18300}
    assert payment.lookback == Period(date(2025, 1, 1), date(2026, 1, 1))


def test_flags_are_read_again_in_july():
    year = region([("1", "2025-03-01", "A10BA02"), ("1", "2026-03-01", "C09AA01")])
    assert paid(year, amounts(), JUNE) == {"A": 16300, "B": 0}
    assert paid(year, amounts(), JULY) == {"A": 13300, "B": 0}  # July 2025 to June 2026 holds the heart drug only


def test_a_mover_is_paid_to_whom_lists_her_on_the_first_or_by_days():
    moves = region(listings=[("1", "A", "2020-01-01", "2026-06-11"), ("1", "B", "2026-06-11", None)])
    assert paid(moves, amounts()) == {"A": 11300, "B": 0}
    assert paid(moves, amounts(), months="days") == {"A": 3767, "B": 7533}  # 10 and 20 days of 30


def test_a_line_is_rounded_to_the_ore_and_a_centre_is_paid_the_sum_of_its_lines():
    part = region([("1", *DIABETES)], listings=[("1", "A", "2026-06-30", None)])
    payment = pay(part, amounts(cell=0.0, add_ons=(0.15, 0, 0)), JUNE, conditions=SET, months="days")
    assert payment.to_frame()["ore"].tolist() == [43, 1]  # 1300/30 = 43.3, 15/30 = 0.5 upwards
    assert payment.control()["by_centre_ore"] == 44


def test_halves_are_rounded_away_from_zero():
    assert half_away(np.array([5, -5, 4, -4, 15, 0]), 10).tolist() == [1, -1, 0, 0, 2, 0]


def test_only_the_highest_and_the_number_of_conditions():
    year = region([("1", *DIABETES), ("1", *HEART)])
    assert paid(year, amounts(kind="highest"))["A"] == 11300 + 5000
    assert paid(year, amounts(kind="count", add_ons=(5, 70, 80, 90)))["A"] == 11300 + 7000
    alike = pay(year, amounts(kind="highest", add_ons=(50, 50, 0)), JUNE, conditions=SET).to_frame()
    assert alike["name"].tolist() == ["65-69", "diabetes"]  # the first of two that are alike


def test_care_need_is_paid_by_the_centre_s_index():
    frame = [("A", "Centre A"), ("B", "Centre B")]
    year = half_year([("1", "2025-01-01", "N02BE01", 1, 30.0, 10.0)], centres=frame)
    table = AmountTable("cni", np.full((21, 2), 10.0), per_cni=8.0)
    with pytest.raises(UserError, match="care-need index of 1 centres is not known, first A"):
        pay(year, table, JUNE)
    year.centres_frame["cni"] = [1.2345, np.nan]
    assert pay(year, table, JUNE).to_frame()["ore"].tolist() == [1000, 988]  # 8 kr × 1.2345 = 9.876 kr


def test_what_cannot_be_paid_by_the_month_is_refused():
    year = region()
    with pytest.raises(UserError, match="pool for a person's cost above 25,000 SEK.*not known before the half-year"):
        pay(year, AmountTable("pooled", np.ones((21, 2)), pool_threshold=25_000), JUNE)
    with pytest.raises(UserError, match="finer than an öre"):
        pay(year, amounts(cell=1 / 3), JUNE, conditions=SET)
    unset = amounts()
    unset.cells[13, 0] = np.nan
    with pytest.raises(UserError, match="no amount for 65-69 K"):
        pay(year, unset, JUNE, conditions=SET)
    with pytest.raises(UserError, match="'own', which is not packaged"):
        pay(year, amounts(condition_set="own"), JUNE)


def test_it_pays_what_the_settlement_would_before_it_is_closed_to_a_budget():
    rng = np.random.default_rng(7)
    people = [(str(i), "KM"[i % 2], f"{1930 + i % 70}-01", None) for i in range(60)]
    year = region([(str(rng.integers(60)), f"2025-{m:02d}-05", c) for m in range(1, 13)
                   for c in ("A10BA02", "C09AA01", "L01BA01")], people,
                  [(p, "AB"[int(p) % 3 > 0], "2020-01-01", None) for p, *_ in people])
    cohort = build_cohort(year, Period(JUNE, JULY), SET)
    table = amounts()
    expected = unscaled_reimbursement(table, cohort.totals("dispensed"))
    assert np.array_equal(pay(year, table, JUNE, conditions=SET).centre_ore, np.rint(100 * expected))


# Changes


def test_why_a_centre_gets_more_or_less():
    people = [("1", "K", "1960-05", None), ("2", "M", "1961-07", None), ("3", "K", "1990-01", None),
              ("4", "M", "1950-01", "2026-06-20"), ("5", "K", "1980-01", None)]
    stays = [("1", "A", "2020-01-01", None), ("2", "A", "2020-01-01", None), ("3", "A", "2020-01-01", "2026-06-15"),
             ("3", "B", "2026-06-15", None), ("4", "A", "2020-01-01", None), ("5", "A", "2020-01-01", None)]
    bought = [("1", "2025-03-01", "A10BA02"), ("1", "2026-03-01", "C09AA01"), ("5", "2026-02-01", "L01BA01")]
    year = region(bought, people, stays)
    before, after = (pay(year, amounts(), m, conditions=SET) for m in (JUNE, JULY))
    changes = changes_between(before, after)
    assert changes.to_frame().values.tolist() == [
        ["A", "left", 2, -10700 - 12500],  # 3 of 36 in band 7; 4, a man of 76 in band 15
        ["A", "age", 1, 100],  # 2 is 65 on 1 July
        ["A", "lost_flags", 1, -5000], ["A", "new_flags", 2, 2000 + 30000],  # 5's cancer drug came after June's window
        ["B", "joined", 1, 10700]]
    assert np.array_equal(changes.before + changes.total, after.centre_ore)


def test_by_days_who_comes_late_counts_as_joining_in_part():
    year = region(listings=[("1", "A", "2026-06-16", None)])
    before, after = (pay(year, amounts(), m, conditions=SET, months="days") for m in (JUNE, JULY))
    frame = changes_between(before, after).to_frame()
    assert frame.values.tolist() == [["A", "joined", 1, 5650]]


def test_what_was_paid_then_parts_into_news_and_new_amounts():
    year = region()
    before, after = (pay(year, amounts(), m, conditions=SET) for m in (JUNE, JULY))
    then = pay(year, amounts(cell=90.0), JUNE, conditions=SET)
    changes = changes_between(before, after, pd.Series({"A": 10000, "closed": 700}), then)
    assert changes.to_frame().drop(columns="persons").values.tolist() == [
        ["A", "registered_later", 300], ["A", "amounts", 1000], ["closed", "registered_later", -700]]
    assert changes.before.tolist() == [10000, 0, 700]
    assert int((changes.before + changes.total).sum()) == int(after.centre_ore.sum())


# Few


def crowd(numbers: dict[tuple[str, int], int]):
    """So many women of the band at the centre."""
    persons, listings = [], []
    for (centre, band), n in numbers.items():
        for _ in range(n):
            p = str(len(persons) + 1)
            persons.append((p, "K", f"{2026 - 5 * band - 1}-01", None))
            listings.append((p, centre, "2020-01-01", None))
    return region(persons=persons, listings=listings)


def test_no_line_tells_of_fewer_than_five_and_the_sums_stay():
    year = crowd({("A", b): n for b, n in {3: 9, 4: 2, 5: 30, 6: 7, 7: 6, 8: 40, 9: 50}.items()}
                 | {("B", b): 20 for b in (3, 4, 5)})
    payment = pay(year, amounts(), JUNE, conditions=SET)
    lines = shown_lines(payment)
    at_a = lines[lines["centre_id"] == "A"]
    assert at_a["name"].tolist() == ["40-44", "45-49", "few"]  # five amounts are merged: 2, 6, 7, 9 and 30 persons
    assert at_a["persons"].tolist()[:2] == [40, 50]
    assert pd.isna(at_a["persons"].iloc[-1])
    assert lines.groupby("centre_id")["ore"].sum().to_dict() == {"A": payment.centre_ore[0], "B": payment.centre_ore[1]}
    assert control_frame(payment)["ore"].iloc[:-1].sum() == payment.ore.sum()


def test_a_centre_of_four_is_paid_but_not_counted():
    payment = pay(crowd({("A", 5): 4, ("B", 5): 40}), amounts(), JUNE, conditions=SET)
    frame = payments_frame(payment, None)
    assert frame["persons"].isna().all()  # B's would tell A's from the region's
    assert frame["listed_months"].isna().all()
    assert frame["payment_sek"].tolist() == ["420.00", "4200.00"]
    assert shown_lines(payment)["kind"].tolist() == ["few", "few"]  # B's would tell A's from the total


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 12))
def test_neither_rows_nor_columns_give_away_what_is_merged(seed, rows, columns):
    persons = np.random.default_rng(seed).choice([0, 0, 1, 3, 5, 8, 60], (rows, columns))
    hidden = merged(persons)
    assert not ((persons > 0) & (persons < 5) & ~hidden).any()
    open_ = (persons > 0) & ~hidden
    for row in np.flatnonzero(hidden.any(axis=1) & open_.any(axis=1)):
        assert hidden[row].sum() >= 5
        assert persons[row][hidden[row]].max() >= 5
    for column in np.flatnonzero(hidden.any(axis=0) & open_.any(axis=0)):
        assert persons[:, column][hidden[:, column]].sum() >= 5


def test_ore_are_written_as_kronor_exactly():
    assert [sek(v) for v in (0, 5, -5, 12345, 10**15 + 1)] == ["0.00", "0.05", "-0.05", "123.45", "10000000000000.01"]


def test_a_sum_below_nothing_stays_a_number_and_a_formula_becomes_text():
    texts = ["-104.00", "-5", "12.50", "-1+2", "=1", "+46", "-"]
    written = neutral(pd.DataFrame({"text": texts, "ore": range(7)}))
    assert written["text"].tolist() == ["-104.00", "-5", "12.50", "'-1+2", "'=1", "'+46", "'-"]


def test_shares_on_the_page():
    assert [percent(v, "sv") for v in (-0.002, -0.5, 12.345)] == ["0,00\N{NO-BREAK SPACE}%", "−0,50\N{NO-BREAK SPACE}%",
                                                                 "12,35\N{NO-BREAK SPACE}%"]
    assert percent(1.5, "en").startswith("1.50")
