"""Engines of our own to hold results against: a temporary Postgres server and a local Spark.

Where the software is absent the tests are skipped with the reason; ``ENGINE_TESTS=required`` makes them fail instead.
"""

from __future__ import annotations

import importlib.util
import io
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

TYPES = {"bool": "boolean", "int64": "bigint", "int32": "integer", "double": "double precision", "string": "text",
         "date32[day]": "date"}
READER = "reader"
"""A role that may read what is shared with it, and nothing else."""


def absent(reason: str) -> None:
    """Skip, or fail where the engines are promised."""
    (pytest.fail if os.environ.get("ENGINE_TESTS") == "required" else pytest.skip)(reason)


def _postgres_programs() -> Path:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    return versions[-1] if versions else Path()


@pytest.fixture(scope="session")
def postgres_url():
    """The URL of a Postgres server that lives as long as the tests, reached through a socket, sorting as in Swedish."""
    programs = _postgres_programs()
    if not (programs / "initdb").is_file():
        absent("there is no Postgres server on this machine (Debian: postgresql)")
    if importlib.util.find_spec("psycopg") is None:
        absent("psycopg is not installed (the extra postgres)")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # its path must be short for a socket, and open to another user
    command: list[str] = []
    if os.getuid() == 0:  # Postgres refuses to run as root
        user = next((name for name in ("postgres", "nobody") if _user(name)), None)
        shutil.chown(folder, user)
        command = ["runuser", "-u", str(user), "--"]

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*command, str(programs / program), *arguments], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "owner", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8",
        "--locale-provider=icu", "--icu-locale=sv-SE", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c synchronous_commit=off"
    run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql://owner@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


@pytest.fixture(scope="session")
def spark():
    """A Spark session on this machine."""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        absent("there is no Java on this machine (Debian: openjdk-17-jre-headless)")
    if importlib.util.find_spec("pyspark") is None:
        absent("pyspark is not installed (the extra spark)")
    from lakemedelsmodell.data.engines import open_engine

    session = open_engine("spark")._session
    for key, setting in {"spark.sql.shuffle.partitions": "1", "spark.sql.codegen.wholeStage": "false"}.items():
        session.conf.set(key, setting)  # a few rows are not worth compiling for
    yield session
    session.stop()


def on_postgres(url: str, tables: dict[str, pa.Table], schema: str = "extract") -> str:
    """The tables in a schema of their own, shared with READER, whose URL is returned."""
    import psycopg
    from pyarrow import csv

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.execute(f"CREATE SCHEMA {schema}")
        for name, table in tables.items():
            columns = ", ".join(f'"{f.name}" {TYPES[str(f.type)]}' for f in table.schema)
            connection.execute(f'CREATE TABLE {schema}.{name} ({columns})')
            rows = io.BytesIO()
            csv.write_csv(table, rows)
            with connection.cursor().copy(f"COPY {schema}.{name} FROM STDIN (FORMAT csv, HEADER)") as copy:
                copy.write(rows.getvalue())
            connection.execute(f"ANALYZE {schema}.{name}")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [READER]).fetchone():
            connection.execute(f"CREATE ROLE {READER} LOGIN")
            connection.execute("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {READER}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {READER}")
    return url.replace("owner@", f"{READER}@")


def on_spark(session, tables: dict[str, pa.Table], folder: Path) -> None:
    """The tables as temporary views over Parquet files."""
    import pyarrow.parquet as pq

    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
        session.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)


def in_duckdb(file: Path, tables: dict[str, pa.Table], *, exact: bool = False) -> str:
    """The tables in a DuckDB file, whose URL is returned; ``exact``: decimals for floating point."""
    import duckdb

    with duckdb.connect(str(file)) as connection:
        for name, table in tables.items():
            connection.register("rows", table)
            columns = [f'"{f.name}"::DECIMAL(18, 6) AS "{f.name}"' if exact and pa.types.is_floating(f.type) else
                       f'"{f.name}"' for f in table.schema]
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {', '.join(columns)} FROM rows")
    return f"duckdb://{file}"
