"""Errors in an OpenADR 3.1 document.

Invalid(ValueError)     a member has a wrong value: names the member, the problem and what was expected
"""


class Invalid(ValueError):
    """A document that breaks the schema (GEN-005, GEN-015, PROBLEM-005).

    ``member`` is the JSON path without the leading ``$.`` (``intervals[1].payloads``), empty for the whole document;
    ``problem`` says what is wrong with it and what was expected.
    """

    def __init__(self, member: str, problem: str) -> None:
        self.member = member
        self.problem = problem
        super().__init__(f"{member}: {problem}" if member else problem)
