"""VTNs of our own for the tests of this folder, started as a stranger would start them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from oadr_conformance import Subject
from vtns.ours import TURNED, vtn

from bench.support.postgres import PostgresServer

_SHARED = ("results", "turned_results", "demanding_run", "runs", "usual", "vtn_on_sqlite")
"""Fixtures that are whole runs of the suite, which many tests look at, and the VTN that many ask; the first counts."""


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before pytest-xdist looks for the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Let one worker do all tests that look at the same run; raises UsageError if pytest-xdist does not keep to it."""
    grouped = []
    for item in items:
        name = next((each for each in _SHARED if each in getattr(item, "fixturenames", ())), None)
        if name is not None:
            which = item.callspec.params.get(name, "") if hasattr(item, "callspec") else ""
            item.add_marker(pytest.mark.xdist_group(f"{name} {which}".strip()))
            grouped.append(item)
    yield
    if config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in grouped):
        raise pytest.UsageError(
            "this pytest-xdist does not group tests with this pytest: every worker would repeat every run"
        )


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Yield a folder for the files of the servers."""
    directory = Path(tempfile.mkdtemp(prefix="oadr-conformance-"))
    yield directory
    shutil.rmtree(directory)


def _in(folder: Path, name: str) -> Path:
    directory = folder / name
    directory.mkdir()
    return directory


@pytest.fixture(scope="session")
def vtn_on_sqlite(folder: Path) -> Iterator[Subject]:
    """Yield our VTN on SQLite, configured as usual."""
    directory = _in(folder, "sqlite")
    with vtn(f"sqlite:///{directory / 'vtn.sqlite3'}", directory) as subject:
        yield subject


@pytest.fixture(scope="session")
def vtn_on_postgresql(folder: Path, postgres_server: PostgresServer) -> Iterator[Subject]:
    """Yield our VTN on PostgreSQL with two workers."""
    name = postgres_server.create_database()
    with vtn(postgres_server.url(name), _in(folder, "postgresql"), "--workers", "2") as subject:
        yield subject  # the database goes with its server, which ends with the session as well


@pytest.fixture(scope="session")
def turned_vtn(folder: Path) -> Iterator[Subject]:
    """Yield our VTN with every switch that the suite knows the other way round."""
    directory = _in(folder, "turned")
    with vtn(f"sqlite:///{directory / 'vtn.sqlite3'}", directory, switches=TURNED) as subject:
        yield subject
