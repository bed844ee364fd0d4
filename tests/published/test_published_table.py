"""Region Skåne, Informationsmöte Hälsovalen, 7 May 2026, "Tabell i FFU Vårdcentral 2026"."""

import numpy as np
import pytest

from lakemedelsmodell import facts

WOMEN, MEN = 0, 1

# 0-04, 05-09 … 95-99, >100
WOMEN_2025 = [27, 28, 25, 41, 20, 20, 26, 31, 40, 56, 81, 106, 138, 161, 210, 251, 318, 377, 430, 434, 384]
MEN_2025 = [27, 29, 27, 25, 11, 14, 18, 22, 29, 44, 67, 102, 154, 200, 260, 317, 384, 427, 454, 480, 326]
WOMEN_2026 = [20, 21, 20, 31, 14, 16, 21, 25, 33, 45, 64, 85, 107, 136, 169, 214, 251, 308, 343, 375, 294]
MEN_2026 = [22, 23, 21, 20, 8, 10, 14, 17, 23, 35, 52, 81, 121, 164, 214, 264, 301, 348, 382, 396, 279]


def amounts(year: int) -> np.ndarray:
    """SEK per listed month, shape (21 bands, 2 sexes)."""
    return facts.age_sex_table(year)["sek_per_month"].to_numpy().reshape(21, 2)


@pytest.mark.parametrize("year", facts.published_years())
def test_the_table_has_21_bands_of_both_sexes(year):
    table = facts.age_sex_table(year)
    assert len(table) == facts.N_CELLS == 42
    assert table["sex"].tolist() == ["K", "M"] * 21
    assert tuple(table["age_band"][::2]) == facts.BAND_LABELS
    assert tuple(table["age_from"][::2]) == facts.BAND_FROM
    assert table["age_to"].isna().tolist() == [False] * 40 + [True] * 2  # >100 is 100 and older
    assert (table["age_to"] - table["age_from"]).dropna().eq(4).all()
    assert table["cost_responsibility"].eq({2025: 0.80, 2026: 0.70}[year]).all()
    assert table["confidence"].eq("exact").all()
    assert table["source"].str.contains("Tabell i FFU Vårdcentral 2026").all()
    assert table["unit"].eq("SEK per listed month").all()
    assert {str(day) for day in table["valid_from"]} == {f"{year}-01-01"}


def test_johan_and_anders_are_both_men_of_60():
    """The region's two worked examples get the same today."""
    assert amounts(2026)[60 // 5, MEN] == 121
    assert amounts(2025)[60 // 5, MEN] == 154


def test_2025_as_printed():
    assert amounts(2025)[:, WOMEN].tolist() == WOMEN_2025
    assert amounts(2025)[:, MEN].tolist() == MEN_2025


def test_2026_as_printed():
    assert amounts(2026)[:, WOMEN].tolist() == WOMEN_2026
    assert amounts(2026)[:, MEN].tolist() == MEN_2026


def test_amounts_halve_when_fees_begin():
    """Men, 15-19 to 20-24 in 2025: 25 to 11; drugs are free of charge under 18."""
    assert (amounts(2025)[3, MEN], amounts(2025)[4, MEN]) == (25, 11)


@pytest.mark.parametrize(("year", "total_msek", "full_cost_msek"), [(2025, 1568, 1960), (2026, 1264, 1805)])
def test_totals_on_the_listed_population(year, total_msek, full_cost_msek):
    """The published table times the listed persons of Skåne, a year."""
    listed = facts.listed_population().set_index(["age_band", "sex"])["listed"]
    table = facts.age_sex_table(year).set_index(["age_band", "sex"])
    total = 12 * (table["sek_per_month"] * listed).sum() / 1e6
    assert total == pytest.approx(total_msek, abs=1)
    assert total / table["cost_responsibility"].iloc[0] == pytest.approx(full_cost_msek, abs=1)


def test_every_cell_fell_by_more_than_the_cost_responsibility():
    """Per band from 2025 to 2026, over 0.70/0.80: .89 (0-19), .90 (20-64), .95 (65-79), .92 (80 and older)."""
    assert (amounts(2026) / amounts(2025) < 0.70 / 0.80).all()
    listed = facts.listed_population()["listed"].to_numpy().reshape(2, 21).T
    for bands, ratio in [(slice(0, 4), 0.89), (slice(4, 13), 0.90), (slice(13, 16), 0.95), (slice(16, 21), 0.92)]:
        now, before = ((amounts(year) * listed)[bands].sum() for year in (2026, 2025))
        assert now / before / 0.875 == pytest.approx(ratio, abs=0.01)


def test_listed_persons_sum_to_the_known_totals():
    """SCB's ten-year bands are exact; 1 418 788 listed in December 2023, about 1.43 million a year later."""
    population = facts.listed_population()
    assert population["age_band"].tolist() == list(facts.BAND_LABELS) * 2
    by_band = population.groupby(["scb_10yr_band", "sex"]).agg(total=("population", "sum"),
                                                               scb=("scb_10yr_band_total", "first"))
    assert (by_band["total"] - by_band["scb"]).abs().max() <= 1  # rounding of the five-year split
    assert population["listed"].sum() == pytest.approx(1.43e6, rel=0.01)
