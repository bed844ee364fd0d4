"""Folders that are written whole or not at all, and the manifest that says who wrote them."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import math
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lakemedelsmodell.errors import DataError, Problem, UserError, redacted

if TYPE_CHECKING:
    import pandas as pd

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


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of something to be computed."""
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def neutral(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would compute; a number is none."""
    def shown(value: Any) -> Any:
        computed = isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value)
        return f"'{value}" if computed else value

    texts = frame.select_dtypes(["object", "string"])
    return frame.assign(**{column: texts[column].map(shown) for column in texts})


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


def behind(out: Path) -> Path:
    """The folder itself where ``out`` is a link to one: what is written beside must lie on its disk."""
    return out.resolve() if out.is_symlink() else out


@contextmanager
def staged(out: Path, read: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[Path]:
    """A sibling folder to write into that becomes ``out`` when all went well and vanishes otherwise.

    Only the owner may read it: folders 0700, files 0600, whatever the umask. What a run that was killed left behind is
    cleared first. ``read`` holds the hashes of what the run reads (:func:`hashes_of`). Raises UserError for a folder
    that is not to be replaced or that another run is writing, DataError where what was read is no longer the same.
    """
    read = read or {}
    inputs = [Path(place) for place in read]
    check_out(out, inputs)
    out = behind(out)
    stage, old = (out.parent / f".{out.name}.{suffix}" for suffix in ("part", "old"))
    with alone(out):
        _recover(out, stage, old)
        check_out(out, inputs)
        stage.mkdir(mode=0o700)
        try:
            yield stage
            check_unchanged(read)
            seal(stage)
            _put_in_place(stage, out, old)
        finally:
            for left in (stage, old):
                shutil.rmtree(left, ignore_errors=True)


def seal(folder: Path) -> None:
    """Only the owner may read what lies in the folder."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def hashes_of(inputs: Iterable[Path]) -> dict[str, dict[str, str]]:
    """:func:`file_hashes` of each input, by its path."""
    return {str(path): file_hashes(path) for path in inputs}


def check_unchanged(before: Mapping[str, Mapping[str, str]]) -> None:
    """Raises DataError that names every input file that is not what it was when ``before`` was taken."""
    problems = []
    for place, was in before.items():
        now = file_hashes(Path(place)) if Path(place).exists() else {}
        problems += [Problem(place if Path(place).is_file() else f"{place}/{name}", "changed while it was read",
                             "Wait until it is complete, then run again. Nothing was written.")
                     for name in sorted(was.keys() | now) if was.get(name) != now.get(name)]
    if problems:
        raise DataError(problems)


def _recover(out: Path, stage: Path, old: Path) -> None:
    """Clear what a killed run left; where it died between taking the old result away and putting the new, the old."""
    if old.exists() and not out.exists():
        old.rename(out)
    for left in (stage, old):
        if left.exists():
            shutil.rmtree(left)


def _put_in_place(stage: Path, out: Path, old: Path) -> None:
    """``out`` is the old folder or the new one at every moment; without the system's exchange, but for one moment."""
    if not out.exists():
        stage.rename(out)
    elif not _exchange(stage, out):
        out.rename(old)
        stage.rename(out)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step where the system and its file system can (renameat2 of Linux)."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2 is not None and renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Nobody else writes ``out`` meanwhile. The system lets go of the lock of a process that is killed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.parent / f".{out.name}.lock"
    lock = _locked(path)
    if lock is None:
        pid = path.read_text(encoding="ascii") if path.is_file() else ""
        raise UserError(f"{out} is being written by another run (process {pid.strip() or 'unknown'}). Wait for it, or "
                        "choose another folder with --out.")
    with lock:
        try:
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n".encode())
            lock.flush()
            yield
        finally:
            if sys.platform != "win32":  # there a file that is open cannot be removed
                path.unlink(missing_ok=True)


def _locked(path: Path) -> BinaryIO | None:
    """The file, created where missing, with its lock held; None where another process holds it."""
    while True:
        file = path.open("a+b")
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another run may have removed the file between its opening and its locking.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except OSError as error:
            file.close()
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise
            return None
        file.close()


SCRATCH = "lakemedelsmodell-"


def scratch_folder() -> tuple[Path, Callable[[], None]]:
    """A folder among the system's temporary ones that only the owner may read, and what removes it.

    Those of processes that were killed are removed first: they hold persons.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with suppress(OSError):  # another user's, or removed meanwhile
            if left.is_dir() and (left / "lock").is_file() and (lock := _locked(left / "lock")):
                with lock:
                    shutil.rmtree(left, ignore_errors=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH))
        with suppress(OSError):  # swept away by another process before its lock was held
            if lock := _locked(folder / "lock"):
                break

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()

    return folder, remove


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

    ``inputs`` are hashed into the manifest. Raises as :func:`staged`.
    """
    started, hashes = datetime.now(UTC), hashes_of(inputs)
    with staged(out, hashes) as stage:
        yield stage
        write_manifest(stage, started, {"inputs": hashes})
