"""Where the tables lie and are counted: DuckDB in this process, or the server that holds them.

One Ibis expression serves every engine. Away from DuckDB nothing is created, not even a temporary table: what Ibis
would upload travels inside the query as VALUES, so that an account that may only read is enough.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakemedelsmodell.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Column, Table
    from sqlglot import exp

MEMORY_LIMIT = "2GiB"
"""DuckDB spills to its scratch folder beyond this, so that a full region fits a small machine."""

EXTRAS = {"postgres": "psycopg", "mssql": "pyodbc", "spark": "pyspark"}
"""What an engine needs besides, by the extra of this package that installs it."""

BINARY_COLLATION = {"postgres": "C", "mssql": "Latin1_General_BIN2"}
"""Where text compares by a language's rules unless told to compare by its code points, as DuckDB and Spark do."""


def connect() -> tuple[Backend, Path]:
    """A fresh in-memory DuckDB behind Ibis, and its scratch folder, removed with the connection."""
    import ibis

    scratch = Path(tempfile.mkdtemp(prefix="lakemedelsmodell-"))
    connection = ibis.duckdb.connect(":memory:", memory_limit=MEMORY_LIMIT, temp_directory=str(scratch / "spill"))
    connection.raw_sql("SET enable_progress_bar = false")
    weakref.finalize(connection, shutil.rmtree, scratch, ignore_errors=True)
    return connection, scratch


# Asking


def arrays(table: Table) -> dict[str, np.ndarray]:
    """The rows of an expression, by column, counted where its tables lie."""
    columns = arrow(table)
    return {name: columns[name].to_numpy() for name in columns.column_names}


def arrow(table: Table) -> pa.Table:
    """The rows of an expression as an Arrow table with the expression's own types."""
    backend = table.get_backend()
    if backend.name == "duckdb":
        return table.to_pyarrow()
    query = sql(table)
    read = {"postgres": _from_postgres, "pyspark": _from_spark}.get(backend.name, _through_ibis)
    return read(backend, query, table).cast(table.schema().to_pyarrow())


def kept(table: Table) -> Table:
    """The expression, found once and kept where that is possible: nothing is created on a server."""
    return table.cache() if table.get_backend().name == "duckdb" else table


def _from_postgres(backend: Any, query: str, table: Table) -> pa.Table:
    """By COPY, several times as fast as a cursor."""
    import io

    from pyarrow import csv

    with backend.con.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)") as copy:
        rows = io.BytesIO(b"".join(copy))
    return csv.read_csv(rows, convert_options=csv.ConvertOptions(
        column_types=table.schema().to_pyarrow(), null_values=[""], true_values=["t"], false_values=["f"],
        strings_can_be_null=True, quoted_strings_can_be_null=False))


def _from_spark(backend: Any, query: str, table: Table) -> pa.Table:
    return backend._session.sql(query).toArrow()


def _through_ibis(backend: Any, query: str, table: Table) -> pa.Table:
    return backend.sql(query, schema=table.schema()).to_pyarrow()


# SQL


def sql(table: Table, engine: str | None = None, *, pretty: bool = False) -> str:
    """The one query that finds ``table`` on its own engine, or on ``engine`` (an Ibis backend's name).

    It creates nothing and can be run by an account that may only read.
    """
    engine = engine or table.get_backend().name
    return tree(table, engine).sql(dialect=_compiler(engine).dialect, pretty=pretty)


def tree(table: Table, engine: str | None = None) -> exp.Expression:
    """The same query as sqlglot's syntax tree."""
    import ibis.expr.operations as ops

    engine = engine or table.get_backend().name
    compiler = _compiler(engine)
    tables = {op.name: op for op in table.op().find(ops.InMemoryTable)}
    found = compiler.to_sqlglot(table)
    return found.transform(lambda node: _portable(node, engine, tables, compiler.type_mapper))


def binary_text(column: Column) -> Column:
    """Text that compares by its code points, upper case apart from lower case, on every engine."""
    import ibis

    return ibis.udf.scalar.builtin(_binary_text, name="BINARY_TEXT", signature=(("string",), "string"))(column)


def _binary_text(text: str) -> str:
    raise NotImplementedError


def _compiler(engine: str) -> Any:
    import ibis.backends.sql.compilers as compilers

    return getattr(compilers, engine).compiler


def _portable(node: exp.Expression, engine: str, tables: dict[str, Any], types: Any) -> exp.Expression:
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
    return node


PREDICATES = ("Connector", "Predicate", "Not", "Exists")


def _bit(item: exp.Expression) -> exp.Expression:
    """SQL Server has no boolean in a select list: 1 or 0 in its place."""
    from sqlglot import exp

    inner = item.unalias().unnest()
    if not isinstance(inner, tuple(getattr(exp, name) for name in PREDICATES)) or isinstance(inner, exp.Subquery):
        return item
    bit = exp.cast(exp.case().when(inner.copy(), exp.Literal.number(1)).else_(exp.Literal.number(0)), "bit")
    return exp.alias_(bit, item.alias, quoted=True)


def _values(op: Any, types: Any, alias: str) -> exp.Expression:
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


def _literal(value: Any) -> exp.Expression:
    from sqlglot import exp

    return exp.Literal.string(value.isoformat()) if isinstance(value, date) else exp.convert(value)
