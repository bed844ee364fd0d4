"""The amount table: explained, written, read, rounded."""

from dataclasses import replace

import numpy as np
import pytest

from cohorts import table
from lakemedelsmodell.amounts import (
    AMOUNT_COLUMNS,
    COUNTS,
    AmountTable,
    band_of,
    published_table,
    read_amounts,
    write_amounts,
)
from lakemedelsmodell.errors import DataError, UserError

WIDE = ("diabetes_oral", "ihd_antiplatelet", "doak")


@pytest.fixture
def chronic() -> AmountTable:
    return table(55.4, [31.5, np.nan, 120.25], model="chronic", conditions=WIDE)


@pytest.mark.parametrize(("year", "age", "sex", "sek"), [
    (2025, 0, "K", 27), (2026, 4, "M", 22), (2026, 60, "M", 121), (2026, 64, "M", 121)])
def test_the_published_amount_of_a_person(year, age, sex, sek):
    assert published_table(year).amount(age, sex) == sek


def test_a_hundred_and_older_are_one_band():
    table_2026 = published_table(2026)
    assert table_2026.amount(100, "K") == table_2026.amount(117, "K") == table_2026.cells[20, 0]
    assert [band_of(age) for age in (0, 4, 5, 99, 100, 130)] == [0, 0, 1, 19, 20, 20]


def test_the_published_table_says_who_set_it_and_from_when():
    found = published_table(2026)
    assert found.valid_from.isoformat() == "2026-01-01"
    assert "Region Skåne" in found.source
    with pytest.raises(UserError, match="2025, 2026"):
        published_table(2024)


def test_johan_gets_the_cell_and_anders_the_cell_and_his_conditions(chronic):
    assert chronic.amount(60, "M") == 55.4
    anders = chronic.explain(60, "M", ["doak", "diabetes_oral"])
    assert [(p.name, p.sek) for p in anders.parts] == [("age_sex", 55.4), ("diabetes_oral", 31.5), ("doak", 120.25)]
    assert anders.total == pytest.approx(55.4 + 31.5 + 120.25)
    assert "120.25 SEK" in str(anders)
    assert "120,25 kr" in str(chronic.explain(60, "M", ["doak"], lang="sv"))


def test_a_condition_without_an_amount_pays_nothing_and_says_so(chronic):
    found = chronic.explain(60, "M", ["ihd_antiplatelet"])
    assert found.total == 55.4
    assert "no amount set" in str(found)


def test_a_table_without_add_ons_pays_nothing_for_conditions():
    assert published_table(2026).amount(60, "M", ["doak"]) == 121


@pytest.mark.parametrize(("age", "sex", "conditions", "says"), [
    (-1, "M", (), "Age -1"), (131, "M", (), "Age 131"), (60, "X", (), "'X'"),
    (60, "M", ("gout",), "no condition gout")])
def test_a_wrong_question_is_answered_with_the_choices(chronic, age, sex, conditions, says):
    with pytest.raises(UserError, match=says):
        chronic.explain(age, sex, conditions)


def test_labels_are_those_of_the_condition_set(chronic):
    named = AmountTable("chronic", chronic.cells, WIDE, chronic.add_ons, "dispensed", "skane_wide")
    sv, en = (named.explain(60, "M", ["doak"], lang=lang).parts[1].label for lang in ("sv", "en"))
    assert sv != "doak"
    assert sv != en


def test_whole_kronor_round_halves_up_and_keep_the_estimate(chronic):
    rounded = chronic.rounded()
    assert rounded.cells[0, 0] == 55
    np.testing.assert_array_equal(rounded.add_ons, [32, np.nan, 120])
    assert rounded.unrounded is chronic
    assert rounded.rounded().unrounded is chronic


def test_a_table_comes_back_from_csv_as_it_was(chronic, tmp_path):
    cells = chronic.cells.copy()
    cells[20, 1] = np.nan
    published = published_table(2026)
    holed = AmountTable("chronic", cells, WIDE, chronic.add_ons, "listed", "skane_wide", published.valid_from)
    write_amounts([published, holed], tmp_path / "amounts.csv")
    back = read_amounts(tmp_path / "amounts.csv")
    np.testing.assert_array_equal(back.cells, holed.cells)
    np.testing.assert_array_equal(back.add_ons, holed.add_ons)
    assert (back.model, back.conditions, back.rule, back.condition_set, back.valid_from) == (
        holed.model, holed.conditions, holed.rule, holed.condition_set, holed.valid_from)
    np.testing.assert_array_equal(read_amounts(tmp_path / "amounts.csv", "age_sex_published").cells,
                                  published_table(2026).cells)
    assert tuple(holed.to_frame().columns) == AMOUNT_COLUMNS
    assert holed.to_frame().query("age_from == 100")["age_to"].isna().all()


def test_a_file_saved_by_a_swedish_spreadsheet_is_read(chronic, tmp_path):
    chronic.to_frame().to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    np.testing.assert_array_equal(read_amounts(tmp_path / "a.csv").add_ons, chronic.add_ons)


@pytest.mark.parametrize(("column", "value", "says"), [
    ("sek_per_month", "much", "row 2, column sek_per_month, value 'much': not an amount"), ("sex", "F", "unknown sex"),
    ("kind", "age", "unknown kind"), ("age_from", "3", "not the first age"), ("age_from", "0", "two amounts")])
def test_a_bad_row_is_named(chronic, tmp_path, column, value, says):
    frame = chronic.to_frame().astype(object)
    frame.loc[1 if value != "0" else 2, column] = value
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=says):
        read_amounts(tmp_path / "a.csv")


def test_a_missing_file_column_or_model_is_said(chronic, tmp_path):
    with pytest.raises(UserError, match="no amounts file"):
        read_amounts(tmp_path / "none.csv")
    chronic.to_csv(tmp_path / "a.csv")
    with pytest.raises(UserError, match="Choose one of chronic"):
        read_amounts(tmp_path / "a.csv", "flat")
    chronic.to_frame().drop(columns="sek_per_month").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="sek_per_month is missing"):
        read_amounts(tmp_path / "b.csv")


def test_a_table_shows_itself(chronic):
    html = chronic._repr_html_()
    assert "doak" in html
    assert "120.25" in html
    axes = chronic.plot()
    assert axes.get_ylabel() == "SEK per listed month"
    assert axes.get_ylim()[0] == 0
    both = replace(chronic, cells=chronic.cells * 2).plot(ax=axes).legend(["women", "men", "women twice", "men twice"])
    assert [handle.get_linestyle() for handle in both.legend_handles] == ["-", "--", "-", "--"]  # 0 has no name
    below = replace(chronic, cells=chronic.cells - 1000).plot()
    assert below.get_ylim()[0] < (chronic.cells - 1000).min()  # an amount below 0 is not cut off
    assert "<td>55.40 SEK</td>" in chronic.explain(60, "M")._repr_html_()


def test_a_table_by_number_holds_the_conditions_of_its_list() -> None:
    by_number = AmountTable("count", published_table(2026).cells, COUNTS, np.array([10.0, 30, 60, 100]), kind="count",
                            rule="dispensed", condition_set="skane_wide")
    assert "doak" in by_number.holdable
    assert by_number.amount(60, "M", ["doak", "kol"]) == 121 + 30
    elsewhere = replace(by_number, condition_set="a_list_of_somebody_elses")
    assert elsewhere.holdable == () and elsewhere.amount(60, "M", ["doak", "kol"]) == 121 + 30
