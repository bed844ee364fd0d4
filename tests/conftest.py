from pathlib import Path

import pytest
from hypothesis import settings

from engines import postgres_url, spark  # noqa: F401 - fixtures

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


def pytest_collection_modifyitems(items):
    for item in items:
        if {"postgres_url", "spark"} & set(item.fixturenames):
            item.add_marker("engines")
