"""The payment's SQL run on an engine, and its rows beside those of ``pay``."""

from __future__ import annotations

import pandas as pd

from lakemedelsmodell.payment.month import Payment

TABLES = ("centres", "persons", "listings", "dispensings")
ORDER = ["centre_id", "kind", "name", "sex"]
TYPES = {"number": "double precision", "bool": "boolean", "date": "date", "text": "text", "int": "bigint"}


def tidy(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in one order with one spelling of nothing, whole numbers as such."""
    rows = rows.sort_values(ORDER, na_position="first", ignore_index=True)
    for column in rows.columns:
        values = [None if pd.isna(v) else v for v in rows[column]]
        text = column in (*ORDER,)
        rows[column] = pd.Series([None if v is None else str(v) if text else int(v) for v in values], dtype=object)
    return rows


def assert_same(result: pd.DataFrame, payment: Payment) -> None:
    """Every row that ``pay`` has, every number equal, and no complaint about the data."""
    assert not len(complaints := result[result["kind"] == "check"]), complaints.to_string()
    pd.testing.assert_frame_equal(tidy(result), tidy(payment.to_frame().astype(object)))


def on_duckdb(tables: dict, *statements: str) -> pd.DataFrame:
    """What the last statement gives on a DuckDB that holds these tables (Arrow, pandas, or the path of a Parquet)."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        for name, table in tables.items():
            if isinstance(table, str):
                connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{table}')")
            else:
                connection.register(name, table)
        for statement in statements:
            result = connection.execute(statement)
        return result.df()


def _kind(column: str) -> str:
    if column in ("packages", "ddd", "cost", "cni", "gross_price"):
        return "number"
    return "bool" if column in ("dose_dispensed", "in_base") else "date" if column.endswith("date") else "text"


def on_postgres(url: str, tables: dict, script: str) -> pd.DataFrame:
    """The same on a Postgres server, in temporary tables and a transaction that is rolled back."""
    import psycopg

    with psycopg.connect(url) as connection:
        with connection.cursor() as cursor:
            for name, table in tables.items():
                frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
                columns = ", ".join(f"{c} {TYPES[_kind(c)]}" for c in frame.columns)
                cursor.execute(f"CREATE TEMPORARY TABLE {name} ({columns})")
                with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                    for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False):
                        copy.write_row(row)
            cursor.execute(script)
            rows = pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description or ()])
        connection.rollback()
    return rows


def on_spark(session, tables: dict, script: str) -> pd.DataFrame:
    """The same on Spark, in temporary views."""
    for name, table in tables.items():
        frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
        kinds = {"number": "double", "bool": "boolean", "date": "date", "text": "string"}
        schema = ", ".join(f"{c} {kinds[_kind(c)]}" for c in frame.columns)
        rows = [tuple(row) for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False)]
        session.createDataFrame(rows, schema).createOrReplaceTempView(name)
    return session.sql(script.strip().rstrip(";")).toPandas()


def unreadable(script: str, dialect: str) -> list[str]:
    """What SQLFluff's grammar of a dialect cannot read; it shares nothing with the one that wrote the script."""
    from sqlfluff.core import FluffConfig, Linter

    config = FluffConfig(overrides={"dialect": dialect, "large_file_skip_byte_limit": 0})
    parsed = Linter(config=config).parse_string(script)
    return [violation.desc() for violation in parsed.violations] or ([] if parsed.tree else ["nothing was read"])
