"""Where the tables lie and are counted: an Ibis connection to DuckDB in this process."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

MEMORY_LIMIT = "2GiB"
"""DuckDB spills to its scratch folder beyond this, so that a full region fits a small machine."""


def connect() -> tuple[Backend, Path]:
    """A fresh in-memory DuckDB behind Ibis, and its scratch folder, removed with the connection."""
    import ibis

    scratch = Path(tempfile.mkdtemp(prefix="lakemedelsmodell-"))
    connection = ibis.duckdb.connect(":memory:", memory_limit=MEMORY_LIMIT, temp_directory=str(scratch / "spill"))
    connection.raw_sql("SET enable_progress_bar = false")
    weakref.finalize(connection, shutil.rmtree, scratch, ignore_errors=True)
    return connection, scratch
