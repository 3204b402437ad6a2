"""``oadr ven join``: make settings of a join line, try the connection, and register."""

from __future__ import annotations

import asyncio
import os
import shlex
import ssl
import sys
import tomllib
from dataclasses import dataclass, field
from getpass import getpass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oadr.commands.ven.options import PREFIX
from oadr.commands.ven.renewal import renewed, settings_of, toml
from oadr.commands.ven.sample_house import CIRCUITS
from oadr.errors import Exit, Failure, exit_code_of, reporting
from oadr.terminal.output import JsonOption, show_json, wants_json
from openadr_profiles.join_line import LONGEST, JoinLine

if TYPE_CHECKING:
    from ven.joining import JoinStep
    from ven.settings import VenSettings

_LONGEST_TEMPLATE: Final = 1_000_000
_FROM_THE_LINE: Final = ("ven_name", "vtn")
_HEAD: Final = (
    "# Made by oadr ven join. The secret of this VEN is in it: keep it to yourself. docs/ven.md has all settings.\n"
)
_SAMPLE: Final = """
# A house to try it with, simulated. Put your own driver (docs/drivers.md) and circuits (docs/ven.md) in its place.
[driver]
kind = "simulated"
options = {{ state_file = {panel} }}

{circuits}"""


def join(
    line: Annotated[
        str,
        typer.Argument(metavar="LINE|-", help="The join line; - and no argument read it from standard input."),
    ] = "-",
    *,
    config: Annotated[Path, typer.Option("--config", help="The file of settings to write.")] = Path("ven.toml"),
    template: Annotated[
        Path | None,
        typer.Option(help="TOML file with all other settings, as circuits and driver. Default: a simulated house."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace settings that are there; they are kept as FILE.bak.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make settings of a join line, try the connection to the VTN step by step, and register there.

    An argument is seen in the list of processes and kept in the shell's history, and the line holds a secret: rather
    run oadr ven join and paste it, or oadr ven join < FILE. Settings of this VEN that are there get what is new in the
    line, as its secret, and stay as they are otherwise.
    """
    with reporting():
        told = JoinLine.decode(_read(line))
        text, changed = _text(told, config.absolute(), template, force=force)
        written = _write(told, config.absolute(), text, force=force, changed=changed)
        settings = written.settings
        if not wants_json(as_json):
            _say("settings", f"{config}{_notes(template, changed)}")
            for kept in written.kept:
                _say("kept", f"{kept} is what was there before")
        steps = asyncio.run(_try(settings, is_quiet=wants_json(as_json)))
        failed = steps[-1].error
        next_ = f"oadr ven {'run' if failed is None else 'doctor'} --config {shlex.quote(str(config))}"
        if wants_json(as_json):
            rows = [{"what": each.what, "found": each.found, "to_do": each.to_do} for each in steps]
            joined = failed is None
            show_json(
                {
                    "config": str(config),
                    "ven_name": told.ven_name,
                    "changed": changed,
                    "kept": [str(each) for each in written.kept],
                    "joined": joined,
                    "steps": rows,
                    "next": next_,
                }
            )
        else:
            typer.echo(f"next: {next_}" if failed is None else f"the settings are kept; to look again: {next_}")
        if failed is not None:
            raise Failure(f"{steps[-1].what}: {failed}\n{steps[-1].to_do}", exit_code_of(failed) or Exit.UNREACHABLE)


async def _try(settings: VenSettings, *, is_quiet: bool) -> list[JoinStep]:
    from openadr_client import SystemClock
    from ven.joining import join_vtn

    steps = []
    async for step in join_vtn(settings, SystemClock()):
        steps.append(step)
        if step.error is None and not is_quiet:
            _say(step.what, step.found)
    return steps


def _say(what: str, found: str) -> None:
    from oadr.terminal.text import visible

    typer.echo(visible(f"{what:10} {found}"))


def _read(line: str) -> str:
    """Return the line as given, or from standard input; on a terminal it is not shown while it is pasted."""
    if line != "-":
        return line
    if sys.stdin.isatty():
        try:
            return getpass("Paste the join line (it is not shown): ")
        except EOFError:  # Ctrl-D
            return ""
    return sys.stdin.buffer.read(2 * LONGEST + 1).decode("utf-8", errors="replace")


def _notes(template: Path | None, changed: list[str] | None) -> str:
    """Return what is to be said about the settings; ``changed`` are the members that are new in those of before."""
    if changed is not None:
        return f": {', '.join(changed) or 'nothing'} is new, all else is as it was"
    return "" if template else ", with a simulated house: put your driver and circuits into it"


def _text(told: JoinLine, config: Path, template: Path | None, *, force: bool) -> tuple[str, list[str] | None]:
    """Return the text of the settings; if those that are there are renewed, also the names of what changes in them."""
    there = None if template or force else settings_of(config, told)
    if there is not None:
        return renewed(there, _connection(told, config), config)
    return _settings_text(told, config, template), None


@dataclass
class _Written:
    """Hold the settings as they read now, and the files that keep what was there before."""

    settings: VenSettings
    kept: list[Path] = field(default_factory=list)


def _write(told: JoinLine, config: Path, text: str, *, force: bool, changed: list[str] | None) -> _Written:
    """Write the settings and the authority's certificate; what is there already, and the same, is left as it is."""
    from oadr.config import load
    from ven.settings import VenSettings

    files = {config: text}
    if told.ca is not None:
        files[_ca_file(config)] = ssl.DER_cert_to_PEM_cert(told.ca)
    other = [file for file, text in files.items() if file.exists() and not _holds(file, text)]
    if other and not force and changed is None:
        problem = f"{other[0]} is there already, with other settings than for this VEN and VTN"
        to_do = f"name another file with --config, or replace it with --force, which keeps it as {other[0].name}.bak"
        raise Failure(f"{problem}: {to_do}", Exit.USAGE)
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        new = {file: _private(file.with_name(f"{file.name}.{os.getpid()}.new"), text) for file, text in files.items()}
        try:
            # Settings of a new file are whole; those that were there may have a part in the environment.
            environment = {} if changed is None else os.environ
            written = _Written(load(VenSettings, prefix=PREFIX, file=new[config], environment=environment))
            if changed is not None:
                _as_before(config, new[config])
            written.kept += [_kept(file) for file in other]
            for file, made in new.items():
                made.replace(file.resolve())
        finally:
            for made in new.values():
                made.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{config} cannot be written: {error.strerror}", Exit.CONFIGURATION) from None
    return written


def _as_before(file: Path, new: Path) -> None:
    """Give a new file the owner and the permissions of one that is there, whose reader may be another user."""
    before, now = file.stat(), new.stat()
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.chown(new, before.st_uid, before.st_gid)
    new.chmod(before.st_mode & 0o777)


def _kept(file: Path) -> Path:
    """Write what is in a file into a new one beside it (0600), FILE.bak or FILE.bak.2 and so on; return its name."""
    for number in count(1):
        name = file.with_name(f"{file.name}.bak" + (f".{number}" if number > 1 else ""))
        try:
            return _private(name, file.read_bytes())
        except FileExistsError:
            continue
    raise AssertionError  # the numbers do not end


def _settings_text(told: JoinLine, config: Path, template: Path | None) -> str:
    rest = _template(template)
    lines = [_HEAD, f"ven_name = {toml(told.ven_name)}\n"]
    if rest is None or "store" not in tomllib.loads(rest):
        lines.append(f"store = {toml(str(config.with_suffix('.sqlite3')))}\n")
    lines += [f"vtn.{name} = {toml(value)}\n" for name, value in _connection(told, config).items()]
    panel = config.with_name(f"{config.stem}-panel.json")
    lines.append(_SAMPLE.format(panel=toml(str(panel)), circuits=CIRCUITS) if rest is None else f"\n{rest}")
    return "".join(lines)


def _connection(told: JoinLine, config: Path) -> dict[str, str]:
    """Return what a line says of ``vtn``, by the names of the settings."""
    ca = {} if told.ca is None else {"ca_file": str(_ca_file(config))}
    return told.connection() | ca


def _template(file: Path | None) -> str | None:
    """Return the text of the other settings, as it is, so that its comments stay."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LONGEST_TEMPLATE + 1)
        given: dict[str, Any] = tomllib.loads(raw.decode())
    except OSError as error:
        raise Failure(f"--template: {file} cannot be read: {error.strerror}", Exit.USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"--template: {file} is not readable TOML: {error}", Exit.CONFIGURATION) from None
    if len(raw) > _LONGEST_TEMPLATE:
        raise Failure(f"--template: {file} is too long; expected at most {_LONGEST_TEMPLATE:,} bytes", Exit.USAGE)
    for name in _FROM_THE_LINE:
        if name in given:
            raise Failure(f"--template: {file} has {name}, which comes from the join line: take it out", Exit.USAGE)
    return raw.decode()


def _ca_file(config: Path) -> Path:
    return config.with_name(f"{config.stem}-ca.pem")


def _holds(file: Path, text: str) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(text.encode()) + 1) == text.encode()
    except OSError:
        return False


def _private(file: Path, content: str | bytes) -> Path:
    """Write a new file for its owner alone (0600), to the disk."""
    raw = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(raw)
        opened.flush()
        os.fsync(opened.fileno())
    return file
