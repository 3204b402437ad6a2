"""The suite of 2.0b against a small VTN that does everything right: nothing is wrong there, nothing is left behind."""

import asyncio
import fnmatch
import shlex
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from mutants.faults20b import FAULTS, faults20b_of, unused_patterns20b
from mutants.front20b import Fault20b, front20b
from mutants.harness20b import SIGNED, prove_all20b
from oadr_conformance import Check, Outcome, Run
from oadr_conformance.v20b.certificates import self_signed
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.hostile import document, hostile_checks
from oadr_conformance.v20b.standing import BASES20B, RULINGS20B
from oadr_conformance.v20b.subject import Subject20b
from typer.testing import CliRunner, Result

from oadr.__main__ import app


def _wrong(result: Run) -> dict[str, str]:
    return {
        one.check.key: f"{one.outcome}: expected {one.expected}, got {one.got} {one.why}"
        for one in result.results
        if one.outcome is not Outcome.PASS
    }


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return what came of all checks, and of some generated documents."""

    async def examine() -> Run:
        async with front20b(tmp_path_factory.mktemp("vtn20b")) as (front, subject):
            result = await run20b(subject, (*ALL20B, *hostile_checks(100, 1)))
            assert [ven.registration for ven in front.vtn.vens.values()] == ["", ""]  # as before the run
            assert not front.vtn.events.programs
            return result

    return asyncio.run(examine())


def test_nothing_is_wrong_with_a_right_vtn(usual: Run) -> None:
    """Every check passes; only those of signatures are skipped, for this VTN demands none."""
    wrong = _wrong(usual)
    assert {key.partition("/")[0] for key in wrong} == set(SIGNED), wrong
    assert usual.conforms()
    assert not usual.leftovers


def test_a_vtn_that_demands_signatures_gets_them(tmp_path: Path) -> None:
    """B-SEC-008 to 011: it verifies them with a library of its own (signxml)."""
    checks = [check for check in ALL20B if check.area == "B-SEC" or check.requirement == "B-REG-007"]

    async def examine() -> Run:
        async with front20b(tmp_path, signed=True) as (_, subject):
            return await run20b(subject, checks)

    wrong = _wrong(asyncio.run(examine()))
    assert set(wrong) == {"B-SEC-012/signature not agreed"}, wrong


def test_generated_documents_come_again() -> None:
    """The same number and seed break a message in the same way, so that a failure can be looked at."""
    for number in range(50):
        one, other = (document(number, 7, "VEN") for _ in range(2))
        assert (one[0], len(one[1])) == (other[0], len(other[1]))
    assert len({document(number, 7, "VEN")[1] for number in range(50)}) > 40


def test_every_check_rests_on_something() -> None:
    """On a sentence of the profile, or on a ruling that says why not; and each of both names a check."""
    assert [check.key for check in ALL20B if not check.ruling and not check.basis] == []
    names = {name for check in ALL20B for name in (*check.requirements, check.key)}
    stray = [pattern for pattern in (*BASES20B, *RULINGS20B) if not fnmatch.filter(names, pattern)]
    assert stray == []


def test_every_check_has_a_fault_it_exists_for() -> None:
    """Without one nobody knows whether it can fail; and a pattern that names no check is a check that got lost."""
    assert [check.key for check in ALL20B if not faults20b_of(check.key)] == []
    assert unused_patterns20b(check.key for check in ALL20B) == []


def test_every_fault_is_seen_by_a_check_that_exists_for_it(tmp_path: Path) -> None:
    """One check per fault; `scripts/conformance --mutation --profile 2.0b` proves all."""
    plan: dict[str, tuple[Check, list[Fault20b]]] = {}
    for fault in FAULTS:
        check = next(check for check in ALL20B if fault in faults20b_of(check.key))
        plan.setdefault(check.key, (check, []))[1].append(fault)
    checks = [check for check, _ in plan.values()]
    proofs = asyncio.run(prove_all20b(tmp_path, checks, lambda key: plan[key][1]))
    assert {verdict.key: verdict.why_not for verdict in proofs if not verdict.good} == {}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Subject20b]:
    """Serve the right VTN in a thread of its own, for commands."""
    found: Future[Subject20b] = Future()
    over = threading.Event()

    async def serve() -> None:
        async with front20b(tmp_path) as (_, subject):
            found.set_result(subject)
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    yield found.result(30)
    over.set()
    thread.join()


_POST = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='POST'))"


def test_pushes_and_orders_on_the_command_line(served: Subject20b, tmp_path: Path) -> None:
    """B-TRN-005, B-REG-010: to the address that was given, else to one of this machine; an operator runs a command."""
    receiver = served.receiver
    assert receiver is not None
    place = ("--receiver", "https://127.0.0.1", "--receiver-listen", "127.0.0.1:0")
    shown = ("--receiver-cert", str(receiver.certificate), "--receiver-key", str(receiver.key))
    order = shlex.join([sys.executable, "-c", _POST, f"{served.business_logic_url}/orders/{{order}}"])
    both = ("--only", "B-REG-010/*pushed", "--only", "B-TRN-001/event*")
    done = _command(served, *place, *shown, *both, "--order-command", order)
    assert "2 passed, 0 failed, 0 skipped" in done.output, done.output
    done = _command(served, *place, *shown, *both, "--order-command", "false {order}")
    assert "1 passed, 0 failed, 1 blocked" in done.output, done.output
    nobody = self_signed(tmp_path)
    shown = ("--receiver-cert", str(nobody.certificate), "--receiver-key", str(nobody.key))
    done = _command(served, *place, *shown, "--only", "B-TRN-001/event*", "--patience", "1")
    assert "does not trust the certificate here" in " ".join(done.output.split()), done.output
    # Without a receiver the suite shows --cert, and this one is not for servers.
    done = _command(served, *both)
    assert "is for clients only" in " ".join(done.output.split()), done.output
    assert "0 passed, 0 failed, 2 skipped" in done.output, done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--order-command", "oadr vens reregister home"], "{order}"),
        (["--order-command", "'{order}"], "no command"),
        (["--receiver-listen", "127.0.0.1:0"], "belong to a --receiver"),
        (["--receiver", "https://lab.example/path"], "without a path"),
    ],
)
def test_options_of_pushes_that_make_no_sense(arguments: list[str], words: str, tmp_path: Path) -> None:
    """Before anything is sent."""
    pair = self_signed(tmp_path)
    done = _command(Subject20b(url="https://127.0.0.1:9", ven=pair), *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def _command(subject: Subject20b, *arguments: str) -> Result:
    assert subject.ven is not None
    certificate, key = map(str, subject.ven.files)
    command = ["conformance", "run", subject.url, "--profile", "2.0b", "--cert", certificate, "--key", key, *arguments]
    if subject.ca_file is not None:
        command += ["--ca", str(subject.ca_file), "--switch", "rulings.binding=true"]
        command += [
            "--business-logic-url",
            subject.business_logic_url,
            "--client-id",
            "bl",
            "--client-secret",
            "secret",
        ]
    return CliRunner().invoke(app, command)
