"""Errors of OpenADR 2.0b messages.

NotAMessage(ValueError)     bytes that hold no message of this profile at all (HTTP 400)
Refused(ValueError)         a message that is recognised and wrong (answered with its own reply, HTTP 200)
BadSignature(ValueError)    a signature that is missing, wrong, too old, or not about the message
Unwritable(ValueError)      an object that has no form in this profile: a mistake of the caller
"""

from __future__ import annotations

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One thing that is wrong in a message: where, what, and what was expected.

    ``path`` has the names of the elements without their namespaces, from the message down; ``line`` begins at 1.
    """

    path: str
    line: int
    problem: str

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.path else f"line {self.line}"
        return f"{where}: {self.problem}"


class NotAMessage(ValueError):
    """Bytes in which no OpenADR 2.0b message can be recognised; ``reason`` says why in words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Refused(ValueError):
    """A message that is recognised but wrong, with the application response code that its sender gets.

    ``name`` is the message's element name and ``request_id`` the id to echo, empty when none could be read (B-GEN-007);
    so are ``ven_id`` and ``opt_id``, which are nothing more than what the sender says. ``problems`` has everything
    found, ``description`` the first of it.
    """

    def __init__(
        self,
        code: str,
        description: str,
        name: str,
        request_id: str,
        *,
        problems: tuple[Problem, ...] = (),
        ven_id: str = "",
        opt_id: str = "",
    ) -> None:
        self.code = code
        self.description = description
        self.name = name
        self.request_id = request_id
        self.problems = problems
        self.ven_id = ven_id
        self.opt_id = opt_id
        super().__init__(f"{name}: {code} {description}")


class BadSignature(ValueError):
    """A signature that does not hold for the message; ``reason`` says why in words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Unwritable(ValueError):
    """An object that cannot be written as this profile's XML; names the member, the problem and what was expected."""

    def __init__(self, member: str, problem: str) -> None:
        self.member = member
        self.problem = problem
        super().__init__(f"{member}: {problem}")
