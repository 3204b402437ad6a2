"""Errors of a measurement.

BenchError
├── WrongAnswer     the server answered something else than the workload asks for: its rate would mean nothing
├── NotReady        a process that is to be measured, or its database, does not start
└── Unusable        the options do not fit together, or the server does not let itself be prepared
"""

from __future__ import annotations


class BenchError(Exception):
    """Base of everything the bench raises on purpose; the text is for whoever runs it."""


class WrongAnswer(BenchError):
    """An answer with another status than the workload expects, or none at all."""


class NotReady(BenchError):
    """A process did not start."""


class Unusable(BenchError):
    """The options or the server cannot be used for this workload."""
