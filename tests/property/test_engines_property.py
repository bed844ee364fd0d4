"""The same questions on every engine, judged by the plain reading of the rules that judges DuckDB's files."""

from __future__ import annotations

import json
import re
from datetime import date
from itertools import product
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engines import in_duckdb, on_postgres, on_spark
from lakemedelsmodell.data import engines, flags
from lakemedelsmodell.data.engines import open_engine
from lakemedelsmodell.data.flags import build_cohort, centre_sums, code_summary, read_flags
from lakemedelsmodell.data.source_names import SourceNames
from lakemedelsmodell.data.sources import open_source, read_source
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import DataError, UserError
from property.test_flags_property import CONDITIONS, H1, WINDOW, dispensings, judge, judge_rows, lives
from sql_engines import unreadable

ENGINES = ["duckdb", pytest.param("postgres", marks=pytest.mark.engines),
           pytest.param("spark", marks=pytest.mark.engines)]
OWN_NAMES = {"dispensings": {"lopnr": "person_id", "EDATUM": "date", "ANTAL": "packages", "kostnad": "cost"},
             "listings": {"lopnr": "person_id"}}
DRESSES = [str, str.lower, lambda c: f" {c[:3]} {c[3:]}", lambda c: f"{c[:5]}.{c[5:]}"]


@pytest.fixture(scope="session")
def place(request, tmp_path_factory):
    """Puts tables where an engine finds them; the half-year there."""
    def put(engine: str, tables: dict[str, pa.Table], schema: str = "extract", columns=OWN_NAMES) -> HalfYear:
        folder = tmp_path_factory.mktemp(engine)
        if engine == "duckdb":
            return open_source(in_duckdb(folder / "half.duckdb", tables), SourceNames(columns=columns))
        if engine == "postgres":
            url = on_postgres(request.getfixturevalue("postgres_url"), tables, schema)
            return open_source(url, SourceNames(tables={name: f"{schema}.{name}" for name in tables}, columns=columns))
        on_spark(request.getfixturevalue("spark"), tables, folder)
        return read_source(open_engine("spark"), SourceNames(columns=columns))
    return put


@st.composite
def regions(draw, parts=4):
    """Several drawn half-years side by side: an engine is asked once for all of them."""
    rows, persons, listings = [], [], []
    for i in range(parts):
        def own(person, i=i):
            return str(100 * i + int(person))

        lived, listed = draw(lives())
        persons += [(own(p), sex, born, died if died and f"{died:%Y-%m}" >= born else None)
                    for p, sex, born, died in lived]
        listings += [(own(p), *rest) for p, *rest in listed]
        rows += [row | {"person": own(row["person"])} for row in draw(dispensings(days=560))]
    return rows, persons, listings


def dressed(rows, persons, listings) -> dict[str, pa.Table]:
    """As a register might have them: own names, sex and dates as codes, ATC codes as people write them."""
    def day(d: date) -> str:
        return f"{d:%Y%m%d}"

    atc = [DRESSES[i % len(DRESSES)](row["atc"]) for i, row in enumerate(rows)]
    dates, ids = pa.date32(), pa.int64()
    return {
        "centres": pa.table({"centre_id": ["A", "B"], "name": ["Centre A", "Centre B"]}),
        "persons": pa.table({
            "person_id": pa.array([int(p) for p, *_ in persons], ids),
            "sex": pa.array(["KM".index(s) and 1 or 2 for _, s, _, _ in persons], ids),
            "birth_month": [b for _, _, b, _ in persons], "death_date": pa.array([d for *_, d in persons], dates)}),
        "listings": pa.table({
            "lopnr": pa.array([int(p) for p, *_ in listings], ids), "centre_id": [f"{c} " for _, c, _, _ in listings],
            "start_date": pa.array([a for _, _, a, _ in listings], dates),
            "end_date": pa.array([b for *_, b in listings], dates)}),
        "dispensings": pa.table({
            "lopnr": pa.array([int(r["person"]) for r in rows], ids), "EDATUM": [day(r["date"]) for r in rows],
            "atc": atc, "ANTAL": pa.array([r["packages"] for r in rows], pa.int32()), "ddd": [r["ddd"] for r in rows],
            "kostnad": [r["cost"] for r in rows], "dose_dispensed": [r["dosed"] for r in rows]})}


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=2, derandomize=True, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
@given(region=regions())
def test_flags_months_and_costs_are_what_a_plain_reading_says(place, engine, region):
    rows, persons, listings = region
    year = place(engine, dressed(*region))
    assert year.counts.get("atc_normalised", 0) == sum(i % len(DRESSES) > 0 for i in range(len(rows)))
    inside = [r for r in rows if WINDOW[0] <= r["date"] < WINDOW[1]]
    for rule in ("dispensed", "listed"):
        found = read_flags(year, WINDOW, CONDITIONS, rule).set_index("person_id")
        for person, *_ in persons:
            assert {c for c in CONDITIONS.names if found.loc[int(person), c]} == judge(
                [r for r in inside if r["person"] == person], rule), (person, rule)
    ids = sorted(int(p) for p, *_ in persons)
    for how in ("snapshot", "days"):
        cohort = build_cohort(year, H1, CONDITIONS, months=how, traits=True)
        ours = {(str(ids[p]), "AB"[k], b): [m, c] for p, k, b, m, c in
                zip(cohort.person, cohort.centre, cohort.band, cohort.months, cohort.cost, strict=True)}
        theirs = judge_rows(rows, persons, listings, how)
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert ours[key] == pytest.approx(theirs[key], abs=1e-9)
        sums, totals = centre_sums(year, H1, CONDITIONS, lookback=H1.before(12), months=how), cohort.totals("dispensed")
        assert sums.filter(like="age_sex_").to_numpy() == pytest.approx(totals.months_by_cell)
        assert sums.filter(like="flag_").to_numpy() == pytest.approx(totals.flagged_months)
        assert sums["cost"].to_numpy() == pytest.approx(totals.cost)


# The same as the same rows in files


def told(year: HalfYear) -> dict:
    """All that a half-year says, but its hash and where it came from."""
    cohort = build_cohort(year, H1, CONDITIONS, months="days", traits=True, cost_base="gross_price")
    return {"counts": year.counts, "months": year.months_seen, "days": (year.first_day, year.last_day),
            "codes": year.codes.astype({"rows": int}).to_dict("list"), "centres": year.centres_frame.to_csv(),
            "cohort": cohort.to_frame().to_csv(), "groups": {k: v.tolist() for k, v in cohort.groups.items()},
            "prior": str(cohort.prior_cost.tolist()), "left_out": cohort.counts,
            "of_codes": code_summary(year, WINDOW).to_csv()}


def odd_tables() -> dict[str, pa.Table]:
    """Text ids that a language would sort otherwise, everything that is counted, halves of öre and of thousandths."""
    ids = ["b2", "B1", "å", "z", "10", "9", "a 1"]
    half = [0.125, 1.005, 2.675, 12.345, -12.345, 0.005, 4.015]
    n = len(ids)
    return {
        "centres": pa.table({"centre_id": ["ö", "Z", "a"], "name": ["Ön", "Zett", "Ah"], "rural": ["ja", "nej", None],
                             "operator": ["public", "private", "public"], "cni": [1.5, None, 0.7]}),
        "persons": pa.table({"person_id": ids, "sex": ["K", "m", "2", "1", "k", "M", "K"],
                             "birth_month": ["1950-02-28", "19610704", "1990-01-01", "2000-12-31", "1940-05-05",
                                             "1970-07-07", "2020-10-10"],
                             "death_date": pa.array([None] * 6 + [date(2026, 3, 1)], pa.date32())}),
        "listings": pa.table({"person_id": ids, "centre_id": ["ö", "Z", "a", "ö", "Z", "a", "ö"],
                              "start_date": pa.array([date(2024, 1, 1)] * 6 + [date(2025, 6, 15)], pa.date32()),
                              "end_date": pa.array([None, date(2026, 2, 10)] + [None] * 5, pa.date32())}),
        "dispensings": pa.table({
            "person_id": [*ids, *ids, "nobody", None, "b2", "b2"],
            "date": pa.array([date(2025, 3, 1)] * n + [date(2026, 2, 28)] * n + [date(2026, 1, 5)] * 4, pa.date32()),
            "atc": [*["A10BA02", "c09aa01", "N02BE01", "XYZ", "A10BB01", "L01BA01", " a10ba02"] * 2, None, "",
                    "A10BA02", "A10BA02"],
            "packages": pa.array([1, 2, -1, 1, 1, 3, 1] * 2 + [1, 1, 1, 1], pa.int64()),
            "ddd": [*half, None, *half[1:], 1.0, 1.0, 0.0005, 0.0005],
            "cost": [abs(x) if i != 2 else -x for i, x in enumerate(half)] * 2 + [7.0, 8.0, 9.0, 9.0],
            "gross_price": [abs(x) + 0.005 if i != 2 else -x for i, x in enumerate(half)] * 2 + [7.0, 8.0, 9.0, 9.0],
            "prescriber_centre_id": ["ö", "Z", "elsewhere", None] * 4 + ["a", "a"],
            "dose_dispensed": pa.array([True, False, None, False] * 4 + [True, True], pa.bool_())}),
        "base_drugs": pa.table({"atc": ["A10", "A10BA", "C", "L01BA01"],
                                "from_date": pa.array([date(2025, 1, 1), date(2025, 2, 1), None, None], pa.date32()),
                                "to_date": pa.array([date(2026, 1, 1), None, None, date(2025, 2, 1)], pa.date32())})}


@pytest.mark.parametrize("engine", ENGINES)
def test_odd_rows_are_read_as_files_are(place, engine):
    tables = odd_tables()
    year, files = place(engine, tables, "odd", {}), HalfYear.from_frames(**tables)
    assert told(year) == told(files)
    assert files.counts.keys() >= {"atc_missing", "atc_malformed_or_unknown", "atc_normalised", "ddd_unknown",
                                   "dispensings_of_unlisted_person", "duplicate_rows", "correction_without_purchase"}


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_what_is_wrong_with_files_is_wrong_there(place, engine):
    tables = odd_tables()
    persons = tables["persons"].to_pandas().assign(sex=["K", "X", "K", "K", "K", "K", "K"])
    persons = pd.concat([persons, persons[:1]])
    listings = tables["listings"].to_pandas()
    listings.loc[0, "centre_id"] = "nowhere"
    listings.loc[1, "person_id"] = "stranger"
    listings.loc[2, "end_date"] = date(2020, 1, 1)
    listings = pd.concat([listings, listings[4:5]])
    rows = tables["dispensings"].to_pandas()
    rows.loc[0, "cost"] = -5.0
    rows.loc[1, "date"] = date(1880, 1, 1)
    rows.loc[2, "packages"] = None
    rows.loc[3, "ddd"] = float("inf")
    wrong = {"persons": persons, "listings": listings, "dispensings": rows}
    wrong = {name: pa.Table.from_pandas(frame, preserve_index=False).cast(
        tables[name].schema.set(0, tables[name].schema[0])) for name, frame in wrong.items()}
    said = []
    for read in (lambda: place(engine, tables | wrong, "wrong", {}), lambda: HalfYear.from_frames(**tables | wrong)):
        with pytest.raises(DataError) as error:
            read()
        firsts = {}
        for p in error.value.problems:
            key = p.file.split(".")[-1], p.column, p.problem
            firsts[key] = firsts.get(key, 0) + p.count
        said.append(firsts)
    assert said[0].keys() == said[1].keys()
    assert len(said[0]) >= 10


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("whole", [True, False], ids=["number", "text"])
def test_personal_numbers_are_refused_where_they_lie_and_never_said(place, engine, whole: bool):
    """A personnummer, a samordningsnummer, and on the fifth row a pseudonym."""
    ids = ["196001051231", "195501151236", "197003631237", "198007612349", "7"]
    ids = ids if whole else ["600105-1231", "19550115-1236", "700363-1237", "800761+T234", "en"]
    kind = pa.int64() if whole else pa.string()
    tables = odd_tables()
    born = tables["persons"].slice(0, 1).to_pylist()[0]
    tables["persons"] = pa.Table.from_pylist([born | {"person_id": int(i) if whole else i} for i in ids],
                                             schema=tables["persons"].schema.set(0, pa.field("person_id", kind)))
    for name in ("listings", "dispensings"):
        table = tables[name].slice(0, len(ids))
        of = pa.array([int(i) if whole else i for i in ids[:len(table)]], kind)
        tables[name] = table.set_column(table.column_names.index("person_id"), "person_id", of)
    with pytest.raises(DataError, match="column person_id: is a personnummer or samordningsnummer") as error:
        place(engine, tables, "named", {})
    assert not any(i in str(error.value) for i in ids[:4])


@pytest.mark.parametrize("engine", ENGINES)
def test_ids_that_begin_with_the_birth_are_refused_where_they_lie(place, engine):
    tables = odd_tables()
    persons = [row | {"person_id": f"{row['birth_month'][:4]}0105T{i:03}"}
               for i, row in enumerate(tables["persons"].to_pylist())]
    tables["persons"] = pa.Table.from_pylist(persons, schema=tables["persons"].schema.set(
        0, pa.field("person_id", pa.string())))
    with pytest.raises(DataError, match="column person_id: begins with the year of birth") as error:
        place(engine, tables, "born", {})
    assert "0105T" not in str(error.value)


def near_personal_numbers() -> list[str]:
    """Text that is one, or almost: every century, border of month and day, sign, and right and wrong check digits."""
    found = ["", " ", "-", "1", "600105", "19600105-", "196001051231x", "1960-01-05", "6001051231000", "٣٤٠١٠٥١٢٣١"]
    for century, month, day, sign in product(["", "18", "19", "20", "21"], ["00", "01", "12", "13"], [
            "00", "01", "31", "32", "60", "61", "91", "92", "1x"], ["", "-", "+", "\u2013", "\u2212", " ", "/"]):
        nine = f"60{month}{day}123"
        doubled = sum(sum(divmod(2 * int(d), 10)) for d in nine[::2].replace("x", "0"))
        check = -(doubled + sum(int(d) for d in nine[1::2].replace("x", "0"))) % 10
        lasts = f"123{check}", f"123{(check + 1) % 10}", "T234", "12"
        found += [f"{century}{nine[:6]}{sign}{last}" for last in lasts]
    return found


def test_what_a_personal_number_is_is_the_same_in_databases_as_in_files():
    import duckdb
    import ibis

    from lakemedelsmodell.data import checks, sources

    texts = near_personal_numbers()
    t = ibis.memtable(pd.DataFrame({"i": range(len(texts)), "x": texts, "year": "1960"}))
    there = ibis.duckdb.connect().to_pandas(t.select("i", named=sources.is_personal_number(
        t.x), born=sources.begins_with_birth(t.x, t.year)).order_by("i"))
    rows = duckdb.sql("SELECT unnest($1) AS x", params=[texts])
    born = checks.begins_with_birth("x", "DATE '1960-05-01'")
    files = rows.query("t", f"SELECT {checks.is_personal_number('x')} AS named, {born} AS born FROM t").df()
    pd.testing.assert_frame_equal(there[["named", "born"]], files)
    assert 100 < files["named"].sum() < len(files) / 3 and 100 < files["born"].sum() < len(files) / 3


def test_a_missing_table_or_column_is_named(place, tmp_path):
    tables = odd_tables()
    with pytest.raises(DataError, match=r"uttag.*is missing.*there are base_drugs, centres.*"):
        open_source(in_duckdb(tmp_path / "a.duckdb", tables), SourceNames(tables={"dispensings": "uttag"}))
    tables["dispensings"] = tables["dispensings"].drop_columns(["cost"])
    with pytest.raises(DataError, match="dispensings, column cost: the column is missing"):
        open_source(in_duckdb(tmp_path / "b.duckdb", tables))
    names = SourceNames(columns={"persons": {"KON": "sex"}})
    with pytest.raises(DataError, match="source.columns, column KON: persons has no such column"):
        open_source(in_duckdb(tmp_path / "c.duckdb", odd_tables()), names)


# The whole evaluation


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> tuple[Path, dict[str, pa.Table]]:
    """A simulated region of 20 small centres: its folder, and its tables."""
    import pyarrow.parquet as pq

    from lakemedelsmodell.simulation.drawing import simulate
    from lakemedelsmodell.simulation.scenario import load_scenario

    folder = tmp_path_factory.mktemp("small")
    simulate(load_scenario("skane_2026h1"), scale=0.01, centres=20).write(folder / "data", folder / "truth")
    tables = {}
    for path in sorted((folder / "data").glob("*.parquet")):
        table = pq.read_table(path)
        plain = [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
        tables[path.stem] = table.cast(pa.schema(plain))
    return folder / "data", tables


def same_but_for_the_place(there, here) -> None:
    """Two runs' numbers, to the last bit; only where they were read from is told otherwise."""
    one, two = (json.loads((run.folder / "results.json").read_text()) for run in (there, here))
    assert one.pop("run")["kind"] == "source" and two.pop("run")["kind"] == "files"
    assert one.pop("found") != two.pop("found")
    assert one == two
    for name in ("centres.csv", "amounts.csv", "coverage.csv", "contributions.csv"):
        assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes(), name


@pytest.mark.engines
def test_a_run_on_spark_has_the_bytes_of_a_run_on_the_files(spark, small, tmp_path):
    from lakemedelsmodell.evaluation import Settings
    from lakemedelsmodell.run import evaluate_run, evaluate_source_run

    folder, tables = small
    on_spark(spark, tables, tmp_path)
    there = evaluate_source_run("spark", settings=Settings(resamples=100), out=tmp_path / "there")
    same_but_for_the_place(there, evaluate_run(folder, settings=Settings(resamples=100), out=tmp_path / "here"))


@pytest.mark.engines
def test_a_run_on_postgres_has_the_bytes_of_a_run_on_the_files(postgres_url, small, tmp_path, monkeypatch):
    import psycopg

    from lakemedelsmodell.evaluation import Settings
    from lakemedelsmodell.run import evaluate_run, evaluate_source_run

    folder, tables = small
    url = on_postgres(postgres_url, tables, "region").replace("@", ":hemlig@")
    with psycopg.connect(url, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TEMPORARY TABLE mine (x int)")  # the account may not even do this
    monkeypatch.setattr("sys.argv", ["lakemedelsmodell", "evaluate", "--source", url])
    plan = Settings(resamples=100)
    names = SourceNames(tables={name: f"region.{name}" for name in tables})
    there = evaluate_source_run(url, settings=plan.model_copy(update={"source": names}), out=tmp_path / "there")
    here = evaluate_run(folder, settings=plan, out=tmp_path / "here")
    same_but_for_the_place(there, here)
    assert "hemlig" not in (there.folder / "manifest.json").read_text() + (there.folder / "results.json").read_text()


# What cannot be reached, and what must not be told


def test_a_server_that_does_not_answer_is_said_in_one_line_without_the_password(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match="cannot be reached") as error:
        open_source(f"postgres://me:hemlig@/half?host={tmp_path}")
    assert "hemlig" not in str(error.value) and "me:***@" in str(error.value)


def test_a_missing_driver_names_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyodbc", None)
    with pytest.raises(UserError, match=r"pip install 'lakemedelsmodell\[mssql\]'"):
        open_engine("mssql://me:hemlig@host/half")


@pytest.mark.parametrize(("url", "said"), [
    ("oracle://host/x", "is no source"), ("duckdb:///nowhere.duckdb", "There is no DuckDB file"),
    ("postgres://me:${NO_SUCH_NAME}@host/x", "no such environment variable")])
def test_a_wrong_address_is_said(url, said):
    with pytest.raises(UserError, match=said):
        open_engine(url)


# Languages of engines that are not here


@pytest.fixture
def translated(monkeypatch):
    """Every question compiled for another engine, translated back, and asked of DuckDB."""
    import sqlglot
    from ibis.expr.operations import Sum

    asked: list[sqlglot.exp.Expr] = []

    def through(engine: str) -> None:
        dialect = engines._compiler(engine).dialect

        def ask(table) -> pa.Table:
            asked.append(engines.tree(table, engine))
            assert all(added.arg.dtype.is_integer() for added in table.op().find(Sum))
            back = sqlglot.transpile(engines.sql(table, engine), read=dialect, write="duckdb")[0]
            # DuckDB's text is as long as SQL Server's longest, and compares by code points without being told
            back = re.sub(r"COLLATE Latin1_General_BIN2|(?<=TEXT)\(MAX\)", "", back)
            if engine == "mssql":  # whose float has 64 bits
                back = re.sub(r"\b(FLOAT|REAL)\b", "DOUBLE", back)
            rows = table.get_backend().con.sql(back).to_arrow_table()
            return rows.rename_columns(table.columns).cast(table.schema().to_pyarrow())

        monkeypatch.setattr(engines, "_from_duckdb", ask)
        monkeypatch.setattr(flags, "kept", lambda table: table)
    return through, asked


def booleans_selected(tree) -> list[str]:
    """Items of a select list that SQL Server refuses."""
    from sqlglot import exp

    return [item.sql() for select in tree.find_all(exp.Select) for item in select.expressions
            if isinstance(item.unalias().unnest(), (exp.Predicate, exp.Connector, exp.Not, exp.Boolean))]


@pytest.mark.parametrize("engine", ["mssql", "snowflake", "bigquery", "databricks"])
def test_compiled_for_another_engine_and_translated_back_it_says_the_same(translated, engine, tmp_path):
    from sqlglot import exp

    through, asked = translated
    tables = odd_tables()
    url = in_duckdb(tmp_path / "odd.duckdb", tables, exact=True)  # SQL Server's floats know no nan to ask for
    year, files = open_source(url), told(HalfYear.from_frames(**tables))
    through(engine)
    year.connection.raw_sql("CREATE TEMP MACRO ieee_divide(a, b) AS a / b")  # BigQuery's
    again = told(year)
    assert again == files
    if engine == "mssql":
        assert len(asked) > 5 and not [found for tree in asked for found in booleans_selected(tree)]
        assert all(added.this.is_type("bigint") for tree in asked for added in tree.find_all(exp.Sum))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mssql", "snowflake", "bigquery", "databricks"])
def test_a_grammar_of_other_makers_reads_what_is_compiled_for_engines_that_are_not_here(translated, engine, tmp_path):
    through, asked = translated
    url = in_duckdb(tmp_path / "odd.duckdb", odd_tables(), exact=True)
    year = open_source(url)
    through(engine)
    year.connection.raw_sql("CREATE TEMP MACRO ieee_divide(a, b) AS a / b")  # BigQuery's
    told(year)
    dialect = {"mssql": "tsql"}.get(engine, engine)
    for query in {tree.sql(dialect=engines._compiler(engine).dialect) for tree in asked}:
        assert not unreadable(query, dialect)


def test_sql_server_gets_no_boolean_in_a_select_list():
    import ibis

    t = ibis.table({"k": "int64", "d": "date", "b": "boolean"}, name="t")
    both = t.group_by("k").agg(two=t.d.min() < t.d.max(), some=t.b.any()).mutate(not_two=lambda x: ~x.two)
    assert booleans_selected(engines._compiler("mssql").to_sqlglot(both))
    assert not booleans_selected(engines.tree(both, "mssql"))
