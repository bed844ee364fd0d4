"""Where the tables lie and are counted: DuckDB in this process, or the server that holds them.

One Ibis expression serves every engine. Away from DuckDB nothing is created, not even a temporary table: what Ibis
would upload travels inside the query as VALUES, so that an account that may only read is enough.
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

import numpy as np

from lakemedelsmodell.errors import UserError, redacted
from lakemedelsmodell.folders import scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends import BaseBackend
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Column, Table
    from sqlglot import exp

    from lakemedelsmodell.data.checks import Check

MEMORY_LIMIT = "1536MiB"
"""DuckDB spills to its scratch folder beyond this, so that a full region fits a small machine."""
MEMORY_AT_REST = "32MiB"
"""What it keeps while nothing is asked of it (:func:`put_aside`)."""

TYPES: dict[str, str] = {"text": "string", "date": "date", "month": "date", "year": "date", "sex": "string",
                         "number": "float64", "bool": "boolean", "atc": "string"}
"""Ibis's type of a column by its kind; a person's is that of person_id."""

EXTRAS = {"postgres": "psycopg", "mssql": "pyodbc", "spark": "pyspark"}
"""What an engine needs besides, by the extra of this package that installs it."""

BINARY_COLLATION = {"postgres": "C", "mssql": "Latin1_General_BIN2"}
"""Where text compares by a language's rules unless told to compare by its code points, as DuckDB and Spark do."""


def connect() -> tuple[Backend, Path]:
    """A fresh in-memory DuckDB behind Ibis, and its scratch folder, removed with the connection."""
    import ibis

    scratch, remove = scratch_folder()
    try:
        connection = ibis.duckdb.connect(":memory:", memory_limit=MEMORY_LIMIT, temp_directory=str(scratch / "spill"))
        connection.raw_sql("SET enable_progress_bar = false")
    except BaseException:  # told to stop: nothing that could be cleared away is there yet
        remove()
        raise
    weakref.finalize(connection, remove)
    return connection, scratch


def put_aside(table: Table) -> None:
    """Have DuckDB put what it keeps on disk and give back the memory, which it takes again when it is asked."""
    backend = table.get_backend()
    if backend.name == "duckdb":
        import duckdb

        with suppress(duckdb.Error):  # what is in use, or finds no room on disk, stays
            backend.raw_sql(f"SET memory_limit = '{MEMORY_AT_REST}'")
        backend.raw_sql(f"SET memory_limit = '{MEMORY_LIMIT}'")


# Reaching a database


def open_engine(url: str) -> BaseBackend:
    """An Ibis connection that only reads.

    ``duckdb:///file`` (or a file's path), ``postgres://user@host:5432/database``, ``mssql://user@host/database``,
    ``spark`` (the session that is running, else one on this machine), ``spark://host:7077`` or ``sc://host:15002``,
    each with ``/catalog.schema`` behind, or ``spark:///folder`` of Parquet tables. ``${NAME}`` is taken from the
    environment, so that no password need be written down.

    Raises
    ------
    UserError
        The URL is none of these, what the engine needs is not installed, or the server cannot be reached.
    """
    def value(m: re.Match[str]) -> str:
        if m[1] not in os.environ:
            raise UserError(f"--source names ${{{m[1]}}}, but there is no such environment variable.")
        return os.environ[m[1]]

    full = re.sub(r"\$\{(\w+)\}", value, url)
    kind = next((kind for kind, form in URL_FORMS.items() if re.match(form, full)), None)
    if kind is None:
        raise UserError(f"{redacted(url)} is no source. Write duckdb:///file.duckdb, postgres://user@host/database, "
                        "mssql://user@host/database or spark.")
    opened = {"duckdb": _open_duckdb, "postgres": _open_postgres, "mssql": _open_mssql, "spark": _open_spark}[kind]
    if kind in EXTRAS:
        try:
            import_module(EXTRAS[kind])
        except ImportError as error:
            raise UserError(f"{kind} needs {EXTRAS[kind]}, which cannot be loaded ({error}). "
                            f"Install it with pip install 'lakemedelsmodell[{kind}]'.") from None
    with said_plainly(url, f"{redacted(url)} cannot be reached"):
        return opened(full)


URL_FORMS = {"duckdb": r"duckdb:|[^:]+\.(duckdb|ddb|db)$", "postgres": r"postgres(ql)?://", "mssql": r"mssql://",
             "spark": r"spark(:|$)|sc://"}
DRIVERS = {"psycopg", "pyodbc", "pyspark", "py4j", "duckdb", "_duckdb", "ibis", "grpc"}
"""The packages whose errors are the database's word, not a mistake of this program."""


@contextmanager
def said_plainly(url: str, what: str = "") -> Iterator[None]:
    """What a database refuses becomes one line (UserError) in which no password stands."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] not in DRIVERS:
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = _without_passwords(lines[0] if lines else type(error).__name__, url)[:300]
        raise UserError(f"{what or f'{redacted(url)} refuses'}: {said}. Check the address, the account and what it "
                        "may read; reading is all that is needed.") from None


def _without_passwords(text: str, url: str) -> str:
    """No part of the text that stands where the URL has a password, not even said by a driver."""
    for secret in [m[1] or m[2] for m in re.finditer(r"://[^:/@\s]*:([^/\s]*)@|(?:password|pwd|token)=([^&;\s]+)",
                                                     os.path.expandvars(url), re.IGNORECASE)]:
        if secret:
            text = text.replace(secret, "***")
    return redacted(text)


def _open_duckdb(url: str) -> Any:
    import ibis

    path = re.sub(r"^duckdb:(//)?", "", url)
    if not Path(path).is_file():
        raise UserError(f"There is no DuckDB file {path}.")
    connection = ibis.duckdb.connect(path, read_only=True, memory_limit=MEMORY_LIMIT)
    connection.raw_sql("SET enable_progress_bar = false")
    return connection


def _open_postgres(url: str) -> Any:
    import ibis
    from psycopg.conninfo import conninfo_to_dict

    given = {"connect_timeout": 15, **conninfo_to_dict(url)}
    read_only = "-c default_transaction_read_only=on " + str(given.pop("options", None) or "")
    names = {"dbname": "database"}
    return ibis.postgres.connect(**{names.get(key, key): value for key, value in given.items()},
                                 options=read_only.strip())


def _open_mssql(url: str) -> Any:
    import ibis

    parts = urlsplit(url)
    more = dict(parse_qsl(parts.query))
    return ibis.mssql.connect(
        host=parts.hostname or "localhost", port=parts.port or 1433, user=parts.username and unquote(parts.username),
        password=parts.password and unquote(parts.password), database=parts.path.strip("/") or None,
        **{"ApplicationIntent": "ReadOnly", **more})


def _open_spark(url: str) -> Any:
    """Spark's session, quiet, its clock in UTC as everywhere else."""
    import ibis
    from pyspark.sql import SparkSession

    address, _, rest = url.partition("://")
    host, _, place = rest.partition("/")
    build = SparkSession.builder.appName("lakemedelsmodell")
    if address == "sc":
        build = build.remote(f"sc://{host}")
    else:
        settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
        if host:
            build = build.master(f"spark://{host}")
        elif "SPARK_HOME" not in os.environ:  # pyspark alone, on this machine: one part per core is enough
            settings |= {"spark.sql.shuffle.partitions": str(os.cpu_count()), "spark.driver.host": "127.0.0.1",
                         "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "4g"}
        for key, setting in settings.items():
            build = build.config(key, setting)
    session = build.getOrCreate()
    connection = ibis.pyspark.connect(session)
    if place and not host and address == "spark":  # a folder of Parquet tables
        for path in sorted(Path("/" + place).glob("*")):
            if path.suffix == ".parquet" or path.is_dir():
                session.read.parquet(str(path)).createOrReplaceTempView(path.stem)
    elif place:
        session.sql(f"USE {place}")
    return connection


def table_names(connection: Any, place: str | None) -> list[str]:
    """The tables there are, for those who named one that is not."""
    if connection.name == "duckdb":  # Ibis 12 asks DuckDB 2 in a way it no longer knows
        return sorted(name for name, in connection.con.sql("SELECT table_name FROM duckdb_tables()").fetchall())
    return sorted(connection.list_tables(database=place))


# Asking


def arrays(table: Table) -> dict[str, np.ndarray]:
    """The rows of an expression, by column, counted where its tables lie."""
    columns, found = arrow(table), {}
    for name in columns.column_names:  # dropped one by one, so that not all is there twice
        found[name] = columns[name].to_numpy()
        columns = columns.drop_columns(name)
    return found


def arrow(table: Table) -> pa.Table:
    """The rows of an expression as an Arrow table with the expression's own types."""
    backend = table.get_backend()
    return _from_duckdb(table) if backend.name == "duckdb" else _read(backend, sql(table), table.schema())


def first_row(table: Table) -> dict[str, Any]:
    """The first row of an expression, by column."""
    return arrow(table).to_pylist()[0]


def scan(table: Table, checks: Sequence[Check]) -> dict[str, Any]:
    """How many rows each check finds wrong (``n0`` …) and the least value that it shows (``v0`` …), in one pass.

    The checks are written in DuckDB's SQL, and translated for the engine.
    """
    import ibis
    from sqlglot import exp, parse_one

    engine = table.get_backend().name
    counted = ", ".join(f"COUNT(CASE WHEN {c.wrong} THEN 1 END) AS n{i}, MIN(CASE WHEN {c.wrong} THEN "
                        f"CAST({c.value} AS VARCHAR) END) AS v{i}" for i, c in enumerate(checks))
    query = parse_one(f"SELECT {counted} FROM rows_", read="duckdb")
    for column in query.find_all(exp.Column):
        column.this.set("quoted", True)
    compiler = _compiler(engine)
    inner = tree(table).subquery("rows_")
    query = query.transform(lambda node: inner if isinstance(node, exp.Table) else node)
    schema = ibis.schema({f"{name}{i}": kind for i in range(len(checks)) for name, kind in
                          (("n", "int64"), ("v", "string"))})
    return _read(table.get_backend(), query.sql(dialect=compiler.dialect), schema).to_pylist()[0]


def kept(table: Table) -> Table:
    """The expression, found once and kept where that creates nothing on a server: in DuckDB and Spark's own session."""
    backend = table.get_backend()
    if backend.name == "duckdb":
        return table.cache()
    if backend.name != "pyspark":
        return table
    rows = backend._session.sql(sql(table)).persist()
    name = f"lakemedelsmodell_{uuid4().hex}"
    rows.createOrReplaceTempView(name)
    found = backend.table(name)
    weakref.finalize(found.op(), rows.unpersist)
    return found.cast(table.schema())


def _read(backend: Any, query: str, schema: Any) -> pa.Table:
    """The rows of a query, in the types that Ibis gives them."""
    read = {"postgres": _from_postgres, "pyspark": _from_spark}.get(backend.name, _through_ibis)
    return read(backend, query, schema).cast(schema.to_pyarrow())


def _from_duckdb(table: Table) -> pa.Table:
    return table.to_pyarrow()


def _from_postgres(backend: Any, query: str, schema: Any) -> pa.Table:
    """By COPY, several times as fast as a cursor."""
    import io

    from pyarrow import csv

    with backend.con.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)") as copy:
        rows = io.BytesIO(b"".join(copy))
    as_written = csv.ConvertOptions(column_types=schema.to_pyarrow(), null_values=[""], true_values=["t"],
                                    false_values=["f"], strings_can_be_null=True, quoted_strings_can_be_null=False)
    return csv.read_csv(rows, convert_options=as_written, parse_options=csv.ParseOptions(ignore_empty_lines=False))


def _from_spark(backend: Any, query: str, schema: Any) -> pa.Table:
    return backend._session.sql(query).toArrow()


def _through_ibis(backend: Any, query: str, schema: Any) -> pa.Table:
    return backend.sql(query, schema=schema).to_pyarrow()


# SQL


def sql(table: Table, engine: str | None = None, *, pretty: bool = False) -> str:
    """The one query that finds ``table`` on its own engine, or on ``engine`` (an Ibis backend's name).

    It creates nothing and can be run by an account that may only read.
    """
    engine = engine or table.get_backend().name
    return tree(table, engine).sql(dialect=_compiler(engine).dialect, pretty=pretty)


def tree(table: Table, engine: str | None = None) -> exp.Query:
    """The same query as sqlglot's syntax tree."""
    import ibis.expr.operations as ops

    engine = engine or table.get_backend().name
    compiler = _compiler(engine)
    tables = {op.name: op for op in table.op().find(ops.InMemoryTable)}
    found = compiler.to_sqlglot(table)
    return found.transform(lambda node: _portable(node, engine, tables, compiler.type_mapper))


def prepare(connection: BaseBackend) -> None:
    """Make a connection understand :func:`binary_text`; only DuckDB has to be told, for as long as it is open."""
    if connection.name == "duckdb":
        connection.raw_sql("CREATE OR REPLACE TEMP MACRO BINARY_TEXT(text) AS text")


def binary_text(column: Column) -> Column:
    """Text that compares by its code points, upper case apart from lower case, on every engine."""
    import ibis

    return ibis.udf.scalar.builtin(_binary_text, name="BINARY_TEXT", signature=(("string",), "string"))(column)


def _binary_text(text: str) -> str:
    raise NotImplementedError


def _compiler(engine: str) -> Any:
    import ibis.backends.sql.compilers as compilers

    return getattr(compilers, engine).compiler


def _portable(node: exp.Expr, engine: str, tables: dict[str, Any], types: Any) -> exp.Expr:
    """What Ibis and the engines do not agree on, put right node by node."""
    from sqlglot import exp

    if isinstance(node, exp.Table) and node.name in tables:
        return _values(tables[node.name], types, node.alias_or_name)
    if isinstance(node, (exp.Anonymous, exp.Func)) and node.name.upper() == "BINARY_TEXT":
        text = node.expressions[0]
        collation = BINARY_COLLATION.get(engine)
        return exp.Collate(this=text, expression=exp.to_identifier(collation, quoted=engine == "postgres")) \
            if collation else text
    if engine == "postgres" and isinstance(node, exp.Round):
        # Postgres rounds a half of a double to the even side; everyone else rounds it away from 0
        x = node.this
        return exp.Mul(this=exp.func("SIGN", x.copy()), expression=exp.func("FLOOR", exp.Add(
            this=exp.Abs(this=x.copy()), expression=exp.Literal.number("0.5"))))
    if engine == "mssql" and isinstance(node, exp.Select):
        node.set("expressions", [_bit(item) for item in node.expressions])
    if engine == "mssql" and isinstance(node, exp.Sum):  # of whole numbers always; a sum of int is an int there
        node.set("this", exp.cast(node.this, "bigint"))
    return node


PREDICATES = ("Connector", "Predicate", "Not", "Exists")


def _bit(item: exp.Expr) -> exp.Expr:
    """SQL Server has no boolean in a select list: 1 or 0 in its place."""
    from sqlglot import exp

    inner = item.unalias().unnest()
    if not isinstance(inner, tuple(getattr(exp, name) for name in PREDICATES)) or isinstance(inner, exp.Subquery):
        return item
    bit = exp.cast(exp.case().when(inner.copy(), exp.Literal.number(1)).else_(exp.Literal.number(0)), "bit")
    return exp.alias_(bit, item.alias, quoted=True)


def _values(op: Any, types: Any, alias: str) -> exp.Expr:
    """A table in memory as a subquery of VALUES."""
    from sqlglot import exp

    names = list(op.schema)
    rows = op.data.to_pyarrow(op.schema).to_pylist()
    columns = [exp.alias_(exp.cast(exp.column(name, table="v", quoted=True), types.from_ibis(dtype)), name, quoted=True)
               for name, dtype in op.schema.items()]
    if not rows:
        nothing = [exp.alias_(exp.cast(exp.null(), types.from_ibis(dtype)), name, quoted=True)
                   for name, dtype in op.schema.items()]
        return exp.select(*nothing).where("1 = 0").subquery(exp.to_identifier(alias, quoted=True))
    values = exp.Values(
        expressions=[exp.Tuple(expressions=[_literal(row[name]) for name in names]) for row in rows],
        alias=exp.TableAlias(this=exp.to_identifier("v", quoted=True),
                             columns=[exp.to_identifier(name, quoted=True) for name in names]))
    return exp.select(*columns).from_(values).subquery(exp.to_identifier(alias, quoted=True))


def _literal(value: Any) -> exp.Expr:
    from sqlglot import exp

    return exp.Literal.string(value.isoformat()) if isinstance(value, date) else exp.convert(value)
