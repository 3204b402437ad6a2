"""`scripts/test` tries a wait again that came too late: shown, for few tests only, and no other failure."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.second_tries import MOST, OPTIONS

_ROOT = Path(__file__).parents[2]
_TESTS = """
from pathlib import Path
import pytest

def first(name):
    tried = Path(__file__).with_name(name)
    return not tried.exists() and not tried.touch()

@pytest.mark.parametrize("number", range({late}))
def test_late(number):
    assert not first(f"late-{{number}}"), "not within 60 s: it leads"

def test_wrong():
    assert not ({wrong} and first("wrong")), "1 instead of 2"
"""


@pytest.mark.parametrize(
    ("late", "wrong", "code", "expected"),
    [(1, 0, 0, "2 passed, 1 rerun"), (MOST + 1, 0, 1, "5 passed, 4 rerun"), (1, 1, 1, "1 failed, 1 passed, 1 rerun")],
)
def test_few_waits_are_tried_again(tmp_path: Path, late: int, wrong: int, code: int, expected: str) -> None:
    """What failed at first is shown whole; more than a few of them fail the run, and so does anything else at once."""
    (tmp_path / "conftest.py").write_text(
        "from tests.support.second_tries import SecondTries\n"
        "def pytest_configure(config):\n"
        "    hasattr(config, 'workerinput') or config.pluginmanager.register(SecondTries())\n"
    )
    (tmp_path / "test_it.py").write_text(_TESTS.format(late=late, wrong=wrong))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", *OPTIONS, str(tmp_path)]
    ended = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, expected in ended.stdout) == (code, True), ended.stdout + ended.stderr
    assert ended.stdout.count("FAILED AT FIRST") == 1
    assert "not within 60 s: it leads" in ended.stdout


def test_the_scripts_say_so() -> None:
    """The options of the scripts are the ones that were tried here."""
    assert " ".join(OPTIONS).replace("not within", "'not within'") in (_ROOT / "scripts" / "_setup.sh").read_text()
