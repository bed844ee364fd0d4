import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

from engines import postgres_url, spark  # noqa: F401 - fixtures
from lakemedelsmodell.data.tables import HalfYear

# A shared machine may pause in the middle of an example: time is no property of the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference tables and real data that lies beside the project; never committed."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared (reference tables and real data) is not here")
    return folder


@pytest.fixture(params=["by person", "as a database's"])
def either_way(request, monkeypatch):
    """Half-years of frames with rows by person, as files have them; and without, asked as a database's are."""
    if request.param == "as a database's":
        of_frames = HalfYear.from_frames
        monkeypatch.setattr(HalfYear, "from_frames", lambda **tables: replace(of_frames(**tables), rows=None))


Command = Callable[..., subprocess.CompletedProcess[str]]


def _command(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "lakemedelsmodell", *map(str, arguments)]
    return subprocess.run(call, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.fixture(scope="session")
def command() -> Command:
    """The commands as a user runs them: another process, any folder."""
    return _command


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """The run folder of a world of 12 centres and some 1 900 persons."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = _command("simulate", "--scale", "0.02", "--centres", "12", "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


def pytest_collection_modifyitems(items):
    for item in items:
        if {"postgres_url", "spark"} & set(item.fixturenames):
            item.add_marker("engines")
