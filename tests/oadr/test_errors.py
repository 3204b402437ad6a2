"""The table from exceptions to exit codes: it names classes as text, so only a test can see that they are there."""

import inspect
from importlib import import_module

import pytest

from oadr.errors import EXIT_CODES, Exit, exit_code_of

PACKAGES = ("openadr_client", "ven", "vtn", "bridge_mqtt", "certs")
"""Packages whose errors can end a command; each has them in its module ``errors``."""

NEVER_END_A_COMMAND = {
    "openadr_client.errors.ClientError": "a base, which is never raised itself",
    "openadr_client.errors.VtnError": "a base, which is never raised itself",
    "ven.errors.VenError": "a base, which is never raised itself",
    "vtn.errors.VtnError": "a base, which is never raised itself",
    "vtn.errors.ChangedMeanwhile": "the server reads the object again",
    "bridge_mqtt.errors.BridgeError": "a base, which is never raised itself",
    "bridge_mqtt.errors.NotLeading": "the bridge stands by instead",
}


def _class_named(name: str) -> type:
    module, _, class_ = name.rpartition(".")
    found = getattr(import_module(module), class_)
    assert isinstance(found, type)
    return found


def _errors_of(package: str) -> dict[str, type[BaseException]]:
    module = import_module(f"{package}.errors")
    return {
        f"{module.__name__}.{name}": class_
        for name, class_ in inspect.getmembers(module, inspect.isclass)
        if issubclass(class_, BaseException) and class_.__module__ == module.__name__
    }


def _has_row(class_: type[BaseException]) -> bool:
    return any(f"{each.__module__}.{each.__qualname__}" in EXIT_CODES for each in class_.__mro__)


@pytest.mark.parametrize("name", EXIT_CODES)
def test_every_row_names_an_exception_where_it_is_defined(name: str) -> None:
    """A class that moved, or got another name, would end commands with "unexpected failure"."""
    class_ = _class_named(name)

    assert issubclass(class_, BaseException)
    assert f"{class_.__module__}.{class_.__qualname__}" == name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_error_has_an_exit_code(package: str) -> None:
    """Of its own or of its base; what can never end a command is listed with the reason."""
    errors = _errors_of(package)

    assert errors
    assert {name for name, class_ in errors.items() if not _has_row(class_)} == {
        name for name in NEVER_END_A_COMMAND if name.startswith(f"{package}.")
    }


def test_an_error_has_the_code_of_its_nearest_base() -> None:
    """`Invalid` is a certificate error, and a mistake in the command."""
    certs, client = import_module("certs.errors"), import_module("openadr_client.errors")

    assert exit_code_of(certs.Invalid("x")) is Exit.USAGE
    assert exit_code_of(certs.Expired("x")) is Exit.CONFIGURATION
    assert exit_code_of(client.UntrustedServer("x")) is Exit.UNREACHABLE
    assert exit_code_of(ValueError("x")) is None
