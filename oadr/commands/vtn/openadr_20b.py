"""``oadr vtn 20b explain``: what is wrong with a message of OpenADR 2.0b, or what a right one says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import to_builtins

from oadr.errors import Exit, reporting
from oadr.files import bounded_bytes
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, wants_json
from oadr.terminal.text import visible

if TYPE_CHECKING:
    from openadr_profiles.v20b.explaining import Explanation

app = typer.Typer(
    add_completion=False,
    help="OpenADR 2.0b: look into its messages.",
    no_args_is_help=True,
    epilog=examples("vtn 20b explain message.xml", "vtn 20b explain message.xml --json"),
)

_MOST_BYTES: Final = 8 << 20


@app.command(epilog=examples("vtn 20b explain message.xml", "vtn 20b explain - < message.xml"))
def explain(
    file: Annotated[Path, typer.Argument(help="A message without HTTP headers; - reads standard input.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say in words what is wrong with a message, with line and path, or what a right one contains.

    Exit code 0 if a server would take it as far as its form goes, 7 if not. Signatures are not checked.
    """
    with reporting():
        from openadr_profiles.v20b.explaining import explain as explained

        found = explained(bounded_bytes(file, most=_MOST_BYTES, what="message"))
        if wants_json(as_json):
            show_json(to_builtins(found))
        else:
            for line in _lines(found):
                typer.echo(visible(line))
        if not found.is_right:
            raise typer.Exit(Exit.CHECK_FAILED)


def _lines(found: Explanation) -> list[str]:
    if not found.name:
        return [f"This is no message of OpenADR 2.0b: {found.reason}.", "A server answers it with HTTP 400."]
    lines = [f"{found.name}: {found.purpose}"]
    if found.is_right:
        lines += ["It is valid" + (", and has a signature, which was not checked." if found.signed else ".")]
        return [*lines, *found.content]
    lines += [f"It is wrong, and a server answers it with response code {found.code}:"]
    lines += [f"  {problem}" for problem in found.problems]
    lines += ["The second validator says:" if found.second_opinion else "The schema alone would allow it."]
    return [*lines, *(f"  {opinion}" for opinion in found.second_opinion)]
