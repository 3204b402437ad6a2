"""VTNs of our own for the tests of this folder, started as a stranger would start them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from oadr_conformance import Subject
from stranger import TURNED, vtn

from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder for the files of the servers."""
    directory = Path(tempfile.mkdtemp(prefix="oadr-conformance-"))
    yield directory
    shutil.rmtree(directory)


def _in(folder: Path, name: str) -> Path:
    directory = folder / name
    directory.mkdir()
    return directory


@pytest.fixture(scope="session")
def vtn_on_sqlite(folder: Path) -> Iterator[Subject]:
    """Our VTN on SQLite, configured as usual."""
    directory = _in(folder, "sqlite")
    with vtn(f"sqlite:///{directory / 'vtn.sqlite3'}", directory) as subject:
        yield subject


@pytest.fixture(scope="session")
def vtn_on_postgresql(folder: Path, postgres_server: PostgresServer) -> Iterator[Subject]:
    """Our VTN on PostgreSQL with two workers."""
    name = postgres_server.create_database()
    with vtn(postgres_server.url(name), _in(folder, "postgresql"), "--workers", "2") as subject:
        yield subject
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def turned_vtn(folder: Path) -> Iterator[Subject]:
    """Our VTN with every switch that the suite knows the other way round."""
    directory = _in(folder, "turned")
    with vtn(f"sqlite:///{directory / 'vtn.sqlite3'}", directory, switches=TURNED) as subject:
        yield subject
