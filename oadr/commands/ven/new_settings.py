"""Write new settings of a VEN, of a join line and of what is said of its house; for their owner alone."""

from __future__ import annotations

import os
import ssl
import tomllib
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from oadr.commands.ven.options import PREFIX
from oadr.commands.ven.renewal import toml
from oadr.commands.ven.sample_house import CIRCUITS
from oadr.errors import Exit, Failure
from openadr_profiles.join_line import JoinLine

if TYPE_CHECKING:
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


@dataclass
class WrittenSettings:
    """Hold the settings as they read now, and the files that keep what was there before."""

    settings: VenSettings
    kept: list[Path] = field(default_factory=list)


def write_settings(
    told: JoinLine, config: Path, text: str, *, force: bool, changed: list[str] | None, keep: bool = True
) -> WrittenSettings:
    """Write the settings and the authority's certificate; what is there already, and the same, is left as it is.

    What is replaced is kept beside it, unless ``keep`` is False.
    """
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
            written = WrittenSettings(load(VenSettings, prefix=PREFIX, file=new[config], environment=environment))
            if changed is not None:
                _as_before(config, new[config])
            written.kept += [_kept(file) for file in other if keep]
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


def settings_text(told: JoinLine, config: Path, rest: str | None) -> str:
    """Return settings for what a line says, and the ``rest`` as it is given; None: a simulated house."""
    lines = [_HEAD, f"ven_name = {toml(told.ven_name)}\n"]
    if rest is None or "store" not in tomllib.loads(rest):
        lines.append(f"store = {toml(str(config.with_suffix('.sqlite3')))}\n")
    lines += [f"vtn.{name} = {toml(value)}\n" for name, value in connection_of(told, config).items()]
    lines.append(sample_house(config) if rest is None else f"\n{rest}")
    return "".join(lines)


def sample_house(config: Path) -> str:
    """Return a simulated house as settings beside a file."""
    panel = config.with_name(f"{config.stem}-panel.json")
    return _SAMPLE.format(panel=toml(str(panel)), circuits=CIRCUITS)


def connection_of(told: JoinLine, config: Path) -> dict[str, str]:
    """Return what a line says of ``vtn``, by the names of the settings."""
    ca = {} if told.ca is None else {"ca_file": str(_ca_file(config))}
    return told.connection() | ca


def house_of_file(file: Path | None) -> str | None:
    """Return the text of the other settings, as it is, so that its comments stay."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LONGEST_TEMPLATE + 1)
    except OSError as error:
        raise Failure(f"--template: {file} cannot be read: {error.strerror}", Exit.USAGE) from None
    return checked_house(raw, f"--template: {file}")


def checked_house(raw: bytes, what: str) -> str:
    """Return the text of settings without what a join line says; raises Failure that names ``what`` it is."""
    try:
        given: dict[str, Any] = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{what} is not readable TOML: {error}", Exit.CONFIGURATION) from None
    if len(raw) > _LONGEST_TEMPLATE:
        raise Failure(f"{what} is too long; expected at most {_LONGEST_TEMPLATE:,} bytes", Exit.USAGE)
    for name in _FROM_THE_LINE:
        if name in given:
            raise Failure(f"{what} has {name}, which comes from the join line: take it out", Exit.USAGE)
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
