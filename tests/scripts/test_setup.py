"""How the scripts set themselves up. The interpreter, pip and apt-get are small programs that record what is asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


class Machine:
    """A copy of the scripts in a project of its own, on a machine that has only the programs given here."""

    def __init__(self, directory: Path) -> None:
        self.project = directory / "my project"  # scripts must cope with a space
        self.programs = directory / "bin"
        self.programs.mkdir(parents=True)
        shutil.copytree(SCRIPTS, self.project / "scripts")
        (self.project / "pyproject.toml").write_text("[project]\n")
        for name in ("bash", "cat", "dirname", "env", "flock", "mktemp", "readlink", "rm", "sha256sum"):
            found = shutil.which(name)
            assert found, f"{name} is needed to test the scripts"
            (self.programs / name).symlink_to(found)
        self.has("id", "echo 1000")

    def has(self, name: str, script: str, *, folder: Path | None = None) -> None:
        """Install a program that is this shell script; `$log` is the record of calls."""
        program = (folder or self.programs) / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/bash\nlog='{self.project}/calls'\n{script}\n")
        program.chmod(0o755)

    def has_environment(self, *, pip: str = "exit 0") -> None:
        """A .venv whose pip does this."""
        folder = self.project / ".venv" / "bin"
        self.has("pip", "", folder=folder)
        self.has("python", f'[[ $2 == pip ]] || exit 0\necho "pip ${{*: -1}}" >>"$log"\n{pip}', folder=folder)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Run a line of shell that may use the functions of `_setup.sh`."""
        return subprocess.Popen(
            ["bash", "-c", f"source '{self.project}/scripts/_setup.sh'; {command}"],
            env={"PATH": str(self.programs)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """The same to its end: exit code and standard error. Nothing may be on standard output."""
        process = self.start(command)
        output, errors = process.communicate(timeout=120)
        assert output == ""
        return process.returncode, errors

    def calls(self) -> list[str]:
        """Return what was asked of pip and apt-get."""
        record = self.project / "calls"
        return record.read_text().replace(str(self.project), "PROJECT").splitlines() if record.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_packages_are_installed_only_when_the_project_changed(machine: Machine) -> None:
    """A second run starts at once."""
    machine.has_environment()

    assert machine.run("prepare dev")[0] == 0
    assert machine.run("prepare dev") == (0, "")
    assert machine.calls() == ["pip PROJECT[dev]"]

    (machine.project / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert machine.run("prepare dev")[0] == 0
    assert machine.calls() == ["pip PROJECT[dev]"] * 2


def test_the_demo_uses_the_environment_of_the_tests_but_not_the_other_way_round(machine: Machine) -> None:
    """The extra `dev` contains `demo`."""
    machine.has_environment()

    machine.run("prepare demo")
    machine.run("prepare dev")
    machine.run("prepare demo")

    assert machine.calls() == ["pip PROJECT[demo]", "pip setuptools", "pip PROJECT[dev]"]


def test_the_demo_keeps_the_environment_that_has_openadr_20b(machine: Machine) -> None:
    """The extra `demo-oadr20b` contains `demo`."""
    machine.has_environment()

    machine.run("prepare demo")
    machine.run("prepare demo-oadr20b")
    machine.run("prepare demo")

    installed = [call for call in machine.calls() if "PROJECT" in call]
    assert installed == ["pip PROJECT[demo]", "pip PROJECT[demo-oadr20b]"]


def test_two_scripts_at_once_install_once(machine: Machine) -> None:
    """The second waits for the first and finds the work done."""
    machine.has_environment(pip="read -t 0.3 <> <(:); exit 0")

    both = [machine.start("prepare dev") for _ in range(2)]

    assert [process.communicate(timeout=120)[0] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert machine.calls() == ["pip PROJECT[dev]"]


def test_a_failed_installation_is_shown_and_tried_again(machine: Machine) -> None:
    """No half-made environment passes for a whole one."""
    machine.has_environment(pip="echo 'no route to host' >&2; exit 1")

    code, errors = machine.run("prepare dev")

    assert code == 1
    assert "no route to host" in errors
    assert "pip could not install the packages" in errors
    machine.has_environment()
    assert machine.run("prepare dev")[0] == 0
    assert machine.calls() == ["pip PROJECT[dev]"] * 2


def test_a_machine_without_a_recent_python_is_told_so(machine: Machine) -> None:
    """Python 3.10 does not count."""
    machine.has("python3", "exit 1")

    code, errors = machine.run("prepare demo")

    assert code == 1
    assert errors.startswith("Python 3.11 or newer is needed")


def test_the_first_python_that_can_make_environments_is_taken(machine: Machine) -> None:
    """Some distributions split that ability off into a package of its own."""
    machine.has("python3.12", '[[ $2 == *ensurepip* ]] && exit 1; [[ $1 == -m ]] && echo "3.12 $2" >>"$log"; exit 0')
    machine.has("python3.11", '[[ $1 == -m ]] && echo "3.11 $2" >>"$log"; exit 0')

    machine.run("make_venv")

    assert machine.calls() == ["3.11 venv"]


def test_an_ordinary_user_is_told_one_command_for_all_that_is_missing(machine: Machine) -> None:
    """Only root installs system packages."""
    machine.has("python3.12", "[[ $2 == *ensurepip* ]] && exit 1; exit 0")
    machine.has("apt-get", 'echo "apt-get $*" >>"$log"')

    assert machine.run("prepare dev no-such-program=some-package other-program=other-package") == (
        1,
        (
            "python3.12 cannot make virtual environments, no-such-program is missing, other-program is missing. "
            "Run this first:  sudo apt-get install python3.12-venv some-package other-package\n"
        ),
    )
    assert machine.calls() == []


def test_root_gets_a_missing_package_also_when_the_package_lists_are_old(machine: Machine) -> None:
    """The first attempt fails, then the lists are renewed."""
    machine.has("id", "echo 0")
    machine.has_environment()
    machine.has("apt-get", 'echo "apt-get $1 ${*: -1}" >>"$log"\n(( $(wc -l <"$log") > 1 ))')
    (machine.programs / "wc").symlink_to(shutil.which("wc") or "")

    assert machine.run("need no-such-program=some-package") == (
        0,
        "no-such-program is missing: installing some-package\n",
    )
    assert machine.calls() == ["apt-get install some-package", "apt-get update update", "apt-get install some-package"]


def test_root_sees_why_a_package_could_not_be_installed(machine: Machine) -> None:
    """What apt-get said, and what it was about."""
    machine.has("id", "echo 0")
    machine.has_environment()
    machine.has("apt-get", "echo 'E: Unable to locate package'; exit 100")

    code, errors = machine.run("need no-such-program=some-package")

    assert code == 1
    assert "E: Unable to locate package" in errors
    assert errors.endswith("apt-get could not install some-package.\n")


def test_a_machine_without_apt_is_told_what_is_missing(machine: Machine) -> None:
    """Other systems have other package managers."""
    machine.has_environment()
    code, errors = machine.run("need mosquitto-that-is-not-there=mosquitto")

    assert code == 1
    assert "on Debian and Ubuntu the package is called: mosquitto" in errors


@pytest.mark.parametrize(
    "script", ["scripts/check", "scripts/demo", "scripts/fresh", "scripts/smoke", "scripts/test", ".ci/run"]
)
def test_every_script_can_be_executed(script: str) -> None:
    """A clone keeps the permission."""
    assert os.access(SCRIPTS.parent / script, os.X_OK)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("smoke", 2, "Usage: scripts/smoke PYTHON"),
        ("smoke --help", 2, "Usage: scripts/smoke PYTHON"),
        ("fresh 11", 1, "Usage: scripts/fresh [12|13|14]"),
        ("fresh 12", 1, "scripts/fresh must be run by root"),
    ],
)
def test_what_a_script_cannot_do_is_said_before_it_begins(
    machine: Machine, command: str, code: int, message: str
) -> None:
    """Nothing is installed and nothing is made."""
    result, errors = machine.run(f'"$root"/scripts/{command}')

    assert (result, machine.calls()) == (code, [])
    assert errors.startswith(message)


def test_an_interpreter_that_does_not_work_is_not_tried(machine: Machine) -> None:
    """A shim of pyenv is on the PATH for versions that are not chosen."""
    for version, works in (("3.12", True), ("3.13", False), ("3.14", True)):
        machine.has(f"python{version}", f"echo {version}" if works else "exit 127")
    body = (SCRIPTS.parent / ".ci" / "run").read_text()
    functions = body[body.index("version() {") : body.index("run 5 scripts/check")]
    (machine.project / "functions").write_text(functions)

    process = machine.start('PYENV_ROOT=/nowhere; source "$root/functions"; others 3.14')
    output, errors = process.communicate(timeout=120)

    assert (output, errors) == ("python3.12\n", "")
