"""A payment folder of a small simulated region, paid, paid again, corrected, and paid by the script instead."""

import json
import re
import shutil
from dataclasses import replace
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot

from lakemedelsmodell.amounts import read_amounts
from lakemedelsmodell.data.files import read_half_year
from lakemedelsmodell.errors import DataError, UserError
from lakemedelsmodell.folders import file_hashes
from lakemedelsmodell.payment import pay, payment_run, payment_sql
from sql_engines import TABLES, assert_same, on_duckdb

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


@pytest.fixture(scope="module")
def amounts(tiny_run):
    return tiny_run / "amounts.csv"


@pytest.fixture(scope="module")
def may(tiny_run, amounts, tmp_path_factory):
    return payment_run(amounts, tiny_run / "data", MAY, tmp_path_factory.mktemp("pay") / "2026-05").folder


def read(path):
    return pd.read_csv(path, dtype={"centre_id": str})


def test_the_folder_adds_up(may):
    results = json.loads((may / "results.json").read_text(encoding="utf-8"))
    total = results["totals"]["payment_ore"]
    assert set(results["control"].values()) == {total}
    payments = read(may / "payments.csv").set_index("centre_id")["payment_ore"]
    for lines in ("lines.csv", "data/lines.csv"):
        assert read(may / lines).groupby("centre_id")["ore"].sum().equals(payments.rename("ore"))
    control = read(may / "control.csv")
    assert control["ore"].tolist()[:-1] and control["ore"].iloc[:-1].sum() == control["ore"].iloc[-1] == total
    changes = read(may / "changes.csv").groupby("centre_id")["ore"].sum()
    moved = read(may / "payments.csv").set_index("centre_id")["change_ore"]
    assert changes.reindex(moved.index).fillna(0).eq(moved).all()
    for lang, title in (("sv", "utbetalning för maj 2026"), ("en", "payment for May 2026")):
        assert title in (may / f"payment.{lang}.html").read_text(encoding="utf-8")


def test_nothing_outside_data_counts_one_to_four_persons(may):
    for path in may.glob("*.csv"):
        frame = read(path)
        if "persons" in frame:
            assert not frame["persons"].between(1, 4).any(), path.name
    components = json.loads((may / "results.json").read_text(encoding="utf-8"))["components"]
    assert not any(0 < (c["persons"] or 0) < 5 for c in components)


def test_again_is_the_same_and_another_payment_is_refused(may, tiny_run, amounts, tmp_path):
    copy = tmp_path / "2026-05"
    shutil.copytree(may, copy)
    before = file_hashes(copy)
    assert not payment_run(amounts, tiny_run / "data", MAY, copy).written
    assert file_hashes(copy) == before == file_hashes(may)
    other = payment_run(amounts, tiny_run / "data", MAY, tmp_path / "other").folder
    assert file_hashes(other) == before
    with pytest.raises(UserError, match="never replaced"):
        payment_run(amounts, tiny_run / "data", JUNE, copy)
    assert file_hashes(copy) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2026-05", "other"]


@pytest.fixture(scope="module")
def corrected(tiny_run, tmp_path_factory):
    """The same data a month later: three listings ended late in April were registered late."""
    folder = tmp_path_factory.mktemp("corrected")
    for path in (tiny_run / "data").iterdir():
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    listings = pd.read_parquet(folder / "listings.parquet")
    still = listings.index[listings["end_date"].isna() & (listings["start_date"] < date(2026, 1, 1))][:3]
    listings.loc[still, "end_date"] = date(2026, 4, 20)
    listings.to_parquet(folder / "listings.parquet", index=False)
    return folder


def test_a_correction_is_shown_as_a_difference(may, corrected, amounts, tmp_path):
    again = payment_run(amounts, corrected, MAY, tmp_path / "again", previous=[may])
    found = read(again.folder / "differences.csv")
    assert 1 <= len(found) <= 3
    assert (found["difference_ore"] < 0).all()
    assert found["difference_ore"].sum() == again.results["differences"]["difference_ore"]
    paid, right = (read(f / "payments.csv").set_index("centre_id")["payment_ore"] for f in (may, again.folder))
    assert found.set_index("centre_id")["difference_ore"].eq((right - paid)[lambda d: d != 0]).all()
    lines = read(again.folder / "data" / "differences.csv")
    assert lines.groupby("centre_id")["difference_ore"].sum().eq(found.set_index("centre_id")["difference_ore"]).all()
    assert (lines["persons_now"] < lines["persons_paid"]).all()


def test_without_corrections_there_is_no_difference(may, tiny_run, amounts, tmp_path):
    same = payment_run(amounts, tiny_run / "data", MAY, tmp_path / "same", previous=[may])
    assert same.results["differences"] == {
        "centres": 0, "paid_ore": same.results["totals"]["payment_ore"],
        "payment_ore": same.results["totals"]["payment_ore"], "difference_ore": 0}
    assert read(same.folder / "differences.csv").empty


def test_next_month_starts_from_what_was_paid(may, corrected, amounts, tmp_path):
    june = payment_run(amounts, corrected, JUNE, tmp_path / "june", previous=[may])
    assert june.results["changes"]["from_paid"]
    assert june.results["changes"]["before_ore"] == read(may / "payments.csv")["payment_ore"].sum()
    assert june.results["changes"]["by_reason"]["registered_later"]["ore"] < 0
    total = june.results["changes"]["before_ore"] + june.results["changes"]["change_ore"]
    assert total == june.results["totals"]["payment_ore"]


def test_earlier_folders_must_fit_and_be_untouched(may, tiny_run, amounts, tmp_path):
    def run(*previous, month=JUNE):
        payment_run(amounts, tiny_run / "data", month, tmp_path / "out", previous=previous)

    with pytest.raises(UserError, match="is the payment of 2026-05. Give that of 2026-03"):
        run(may, month=date(2026, 3, 1))
    with pytest.raises(UserError, match="are both of the month before"):
        run(may, may)
    with pytest.raises(UserError, match="not a payment folder"):
        run(tiny_run)
    touched = tmp_path / "touched"
    shutil.copytree(may, touched)
    with (touched / "payments.csv").open("a", encoding="utf-8") as file:
        file.write("X,X,9,9,100,1.00,0,0,0,0\n")
    with pytest.raises(UserError, match="not what pay wrote"):
        run(touched)
    assert not (tmp_path / "out").exists()


def test_half_a_look_back_is_refused(tiny_run, amounts, tmp_path):
    with pytest.raises(DataError, match=r"2026-01\.\.2026-12, and 6 of these .* first 2026-07"):
        payment_run(amounts, tiny_run / "data", date(2027, 1, 1), tmp_path / "out")
    with pytest.raises(UserError, match="hold from 2026-01-01, not yet in 2025-12"):
        payment_run(amounts, tiny_run / "data", date(2025, 12, 1), tmp_path / "out")


def under_other_pseudonyms(data, folder, rows):
    """The same data, but for the person_id of these dispensings."""
    shutil.copytree(data, folder)
    dispensings = pd.read_parquet(folder / "dispensings.parquet")
    dispensings["person_id"] += 10**9 * rows(dispensings["date"].astype(str))
    dispensings.to_parquet(folder / "dispensings.parquet", index=False)
    return folder


@pytest.mark.parametrize(("rows", "said"), [
    (lambda day: day > "", "in 12 of these months more dispensings are of persons nobody lists than .* first 2025-01"),
    (lambda day: day.str.startswith("2025-09"), "in 1 of these months more .* first 2025-09")])
def test_dispensings_under_other_pseudonyms_are_refused(tiny_run, amounts, tmp_path, rows, said):
    data = under_other_pseudonyms(tiny_run / "data", tmp_path / "data", rows)
    with pytest.raises(DataError, match=said):
        payment_run(amounts, data, JUNE, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert payment_run(amounts, data, JUNE, tmp_path / "out", model="age_sex").results["warnings"] == []


def test_many_strangers_are_told_of(tiny_run, amounts, tmp_path):
    data = under_other_pseudonyms(tiny_run / "data", tmp_path / "data",
                                  lambda day: (day >= "2025-11-20") & (day < "2025-12-01"))
    paid = payment_run(amounts, data, JUNE, tmp_path / "out").results
    warning = paid["warnings"][0]
    assert re.fullmatch(r"3 % of the look-back's .* nobody lists, .*; most in 2025-11, (3[2-9]|4[0-2]) %\. .*", warning)
    assert paid["counts"]["dispensings_of_unlisted_person"] > 300


def test_a_centre_that_is_to_pay_in_is_told_of(tiny_run, amounts, tmp_path):
    frame = pd.read_csv(amounts, dtype=str)
    today = frame["model"] == "age_sex"
    frame.loc[today, "sek_per_month"] = np.where(frame.loc[today, "sex"] == "K", "30.0", "-31.0")
    frame.to_csv(tmp_path / "amounts.csv", index=False)
    paid = payment_run(tmp_path / "amounts.csv", tiny_run / "data", JUNE, tmp_path / "out", model="age_sex")
    centres = pd.read_csv(tmp_path / "out" / "payments.csv")
    below = int((centres["payment_ore"] < 0).sum())
    assert 0 < below < len(centres)
    assert paid.results["warnings"] == [
        f"The amounts of {below} centres come to less than nothing: they are to pay in."]
    assert (centres["payment_sek"] * 100).round().astype(int).tolist() == centres["payment_ore"].tolist()


@pytest.mark.parametrize("model", ["chronic", "chronic_defended", "highest_only", "count", "age_sex_cni"])
def test_the_script_pays_the_same(model, tiny_run, amounts):
    year = read_half_year(tiny_run / "data")
    tables = {name: str(tiny_run / "data" / f"{name}.parquet") for name in TABLES}
    table = replace(read_amounts(amounts, model), pool_threshold=None)  # a pool is settled afterwards
    for months in ("snapshot", "days"):
        payment = pay(year, table, JUNE, months=months)
        assert_same(on_duckdb(tables, payment_sql(table, JUNE, "duckdb", months=months)), payment)
        t_sql = sqlglot.transpile(payment_sql(table, JUNE, "tsql", months=months), read="tsql", write="duckdb")
        assert_same(on_duckdb(tables, *filter(None, t_sql)), payment)


def test_the_script_says_what_is_wrong_with_the_data(tiny_run, amounts):
    with duckdb.connect() as connection:
        for name in TABLES:
            connection.execute(f"CREATE TABLE {name} AS FROM read_parquet('{tiny_run}/data/{name}.parquet')")
        connection.execute("INSERT INTO listings SELECT person_id, centre_id, start_date, NULL FROM listings "
                           "WHERE end_date IS NULL AND start_date < DATE '2026-01-01' AND centre_id > (SELECT "
                           "min(centre_id) FROM centres) AND person_id IN (SELECT person_id FROM persons WHERE "
                           "death_date IS NULL AND birth_month < '2026') ORDER BY person_id LIMIT 2")
        connection.execute("DELETE FROM centres WHERE centre_id = (SELECT min(centre_id) FROM centres)")
        connection.execute("DELETE FROM dispensings WHERE date BETWEEN DATE '2025-05-01' AND DATE '2025-05-31'")
        connection.execute("UPDATE dispensings SET person_id = -2 WHERE date BETWEEN DATE '2025-06-08' AND DATE "
                           "'2025-06-30'")
        unknown = "INSERT INTO listings SELECT -1, centre_id, start_date, end_date FROM listings LIMIT 1"
        connection.execute(unknown)
        connection.execute("UPDATE persons SET sex = 'X' WHERE person_id = (SELECT max(person_id) FROM listings)")
        script = payment_sql(read_amounts(amounts), JUNE, "duckdb")
        checks = connection.execute(script).df().query("kind == 'check'").set_index("name")["persons"]
    assert {name: n for name, n in checks.items() if "centre" not in name} == {
        "persons listed for more than the month": 2, "listings of somebody who is not in persons": 1,
        "age and sex without an amount": 1, "months of the look-back without purchases": 1,
        "months of the look-back with most purchases by persons nobody lists": 1}
    assert checks["listings at a centre that is not in centres"] > 100


def test_the_commands(command, may, tiny_run, amounts, tmp_path):
    done = command("pay", amounts, tiny_run, "--month", "2026-05", "--out", may)
    assert (done.returncode, done.stderr) == (0, "")
    assert "The same payment was there already" in done.stdout
    script = command("sql", amounts, "--dialect", "spark", "--month", "2027-01", "--out", tmp_path / "a" / "pay.sql")
    assert script.returncode == 0, script.stderr
    assert (tmp_path / "a" / "pay.sql").read_text(encoding="utf-8").startswith("-- Payment to primary-care centres")
    for wrong in (("pay", amounts, tiny_run, "--month", "2026-13", "--out", tmp_path / "out"),
                  ("sql", amounts, "--dialect", "duckdb", "--month", "2026-06", "--model", "chronic_pool")):
        done = command(*wrong)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("error: ")
