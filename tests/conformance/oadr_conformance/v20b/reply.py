"""An answer of a 2.0b VTN, with the expectations that checks share."""

from __future__ import annotations

from lxml import etree

from oadr_conformance.errors import Mismatch
from oadr_conformance.v20b.tree import NAMESPACES, Element, flaws, local, parsed
from oadr_conformance.wire import HttpExchange, VtnAnswer


class VtnReply(VtnAnswer):
    """An answer to a message; each expectation raises `Mismatch` if it is not met."""

    def __init__(self, exchange: HttpExchange, *, binding: bool = True) -> None:
        super().__init__(exchange, binding=binding)
        self._root: Element | None = None

    @property
    def root(self) -> Element:
        """Return the whole document."""
        if self._root is None:
            self.expect(200)
            try:
                self._root = parsed(self.exchange.body)
            except etree.XMLSyntaxError as error:
                raise self.fail("an XML document", f"{error}: {self.text[:200] or 'an empty body'}") from error
        return self._root

    @property
    def message(self) -> Element:
        """Return the one message that the document carries."""
        found = [one for one in self.root.findall("oadr:oadrSignedObject/*", NAMESPACES) if isinstance(one.tag, str)]
        if len(found) != 1:
            raise self.fail("an oadrPayload with exactly one message", self.text[:300])
        return found[0]

    @property
    def name(self) -> str:
        """Return the name of the message: `oadrResponse`."""
        return local(self.message)

    def of(self, *names: str) -> VtnReply:
        """Expect one of these messages."""
        if self.name not in names:
            code = f" {self.code}" if self.find("ei:eiResponse/ei:responseCode") is not None else ""
            raise self.fail(" or ".join(dict.fromkeys(names)), f"{self.name}{code}")
        return self

    def find(self, path: str) -> Element | None:
        """Return the first element at this path below the message."""
        return self.message.find(path, NAMESPACES)

    def all(self, path: str) -> list[Element]:
        """Return the elements at this path below the message."""
        return self.message.findall(path, NAMESPACES)

    def value(self, path: str) -> str:
        """Return the text at this path below the message."""
        found = self.find(path)
        if found is None:
            raise self.fail(f"{path.rpartition('/')[2]} in {self.name}", self.text[:300])
        return found.text or ""

    def value_or_none(self, path: str) -> str | None:
        """Return the text at this path below the message, None if it is not there."""
        found = self.find(path)
        return None if found is None else found.text or ""

    @property
    def code(self) -> str:
        """Return the response code."""
        return self.value("ei:eiResponse/ei:responseCode")

    @property
    def request_id(self) -> str:
        """Return the requestID that the answer echoes."""
        return self.value("ei:eiResponse/pyld:requestID")

    def ok(self, *names: str) -> VtnReply:
        """Expect one of these messages, with a code that begins with 2."""
        self.of(*names)
        if not self.code.startswith("2"):
            what = self.value_or_none("ei:eiResponse/ei:responseDescription")
            raise self.fail(f"{' or '.join(names)} with code 200", f"{self.code}{f' ({what})' if what else ''}")
        return self

    def refused(self, name: str, *codes: str) -> VtnReply:
        """Expect a refusal.

        Which 4xx code it has is informative (rule 48), and a VTN may refuse by HTTP; where rulings bind the code is
        one of these, in this message or in oadrResponse.
        """
        if not self.binding and 400 <= self.status < 500:
            return self
        self.of(name, "oadrResponse")
        if not self.code.startswith("4") or (self.binding and codes and self.code not in codes):
            wanted = " or ".join(codes) if self.binding and codes else "a code that begins with 4"
            raise self.fail(f"{name} with {wanted}", self.code)
        return self

    def bad_request(self, *statuses: int) -> VtnReply:
        """Expect an HTTP error of the client's; any 4xx will do unless rulings bind, or a code that begins with 4."""
        if self.binding:
            self.expect(*(statuses or (400,)))
        elif not 400 <= self.status < 500 and not (self.status == 200 and self.code.startswith("4")):
            raise self.fail("an HTTP status 4xx, or a code that begins with 4", f"status {self.status}")
        return self

    def valid(self) -> VtnReply:
        """Expect a document that the schema accepts."""
        if found := flaws(self.root):
            raise self.fail("a schema-valid message", "; ".join(found[:3]))
        return self

    def survived(self) -> VtnReply:
        """Expect an answer that is no failure of the server: bad input is never its own fault."""
        if self.status >= 500:
            raise self.fail("an answer other than 5xx", f"status {self.status}")
        return self


def mismatch(expected: str, got: object) -> Mismatch:
    """Return a mismatch about a fact that several answers show."""
    return Mismatch(expected, str(got))
