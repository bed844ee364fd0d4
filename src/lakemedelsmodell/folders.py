"""Folders that are written whole or not at all, and the manifest that says who wrote them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lakemedelsmodell.errors import UserError, redacted

MANIFEST = "manifest.json"


def plain(value: Any) -> Any:
    """What JSON can hold: numpy scalars unwrapped, dates as text, unknown (nan) as null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, (np.bool_, np.integer)):
        return value.item()
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else value


def to_json(value: Any) -> str:
    """The one way results are written: UTF-8, null for unknown, a line break at the end."""
    return json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    names = ("lakemedelsmodell", "numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis-framework")
    return {name: version(name) for name in names} | {"python": platform.python_version()}


def file_hashes(path: Path) -> dict[str, str]:
    """SHA-256 of a file, or of every file of a folder, by relative name."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    hashes = {}
    for file in files:
        with file.open("rb") as stream:
            name = file.name if file == path else file.relative_to(path).as_posix()
            hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def is_run_folder(folder: Path) -> bool:
    """Whether an earlier run wrote this folder (and it may therefore be replaced)."""
    try:
        return "lakemedelsmodell" in json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("versions", {})
    except (OSError, ValueError, AttributeError):
        return False


def check_out(out: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse (UserError) a folder whose content is not a run's, or that holds the run's own input."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file. Choose a folder with --out.")
    if out.is_dir() and any(out.iterdir()) and not is_run_folder(out):
        raise UserError(f"{out} is not empty and was not written by a run. "
                        "Choose another folder with --out; nothing was changed.")
    for path in inputs:
        if path.resolve().is_relative_to(out.resolve()):
            raise UserError(f"{path} lies inside {out}, which the run would replace. Choose another folder with --out.")


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A sibling folder to write into that becomes ``out`` when all went well and vanishes otherwise."""
    out.parent.mkdir(parents=True, exist_ok=True)
    stage = out.parent / f".{out.name}.{os.getpid()}.part"
    old = out.parent / f".{out.name}.{os.getpid()}.old"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        yield stage
        if out.exists():
            out.rename(old)
        stage.rename(out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_manifest(folder: Path, started: datetime, told: Mapping[str, Any]) -> None:
    """What was run, when, on what and what came of it; ``folder`` is otherwise finished."""
    (folder / MANIFEST).write_text(to_json({
        **told, "command": ["lakemedelsmodell", *map(redacted, sys.argv[1:])],
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 2),
        "machine": {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()},
        "versions": versions(), "outputs": file_hashes(folder),
    }), encoding="utf-8")


@contextmanager
def written_folder(out: Path, inputs: Sequence[Path] = ()) -> Iterator[Path]:
    """A folder to write results into, with a manifest: replaces an earlier one of this package, whole or not at all.

    ``inputs`` are hashed into the manifest. Raises UserError for a folder that is not to be replaced.
    """
    check_out(out, inputs)
    started = datetime.now(UTC)
    with staged(out) as stage:
        yield stage
        write_manifest(stage, started, {"inputs": {str(path): file_hashes(path) for path in inputs}})
