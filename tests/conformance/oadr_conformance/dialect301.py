"""OpenADR 3.0.1 on the wire."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.dialect import Pairs, WireShape
from oadr_conformance.wire import Obj

TYPE: Final = "GROUP"
"""The type of targets that checks name without one."""


class WireShape301(WireShape):
    """Targets have types, resources are below their ven, reports and subscriptions name a program, and so on.

    It remembers what belongs to what, as the VTN has said it: the program of an event, the ven of a resource.
    """

    version: ClassVar[str] = "3.0.1"
    usual_prefix: ClassVar[str] = "/openadr3/3.0.1"
    names_token_server: ClassVar[bool] = False
    names_notifiers: ClassVar[bool] = False
    names_owners: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[str, str] = {}
        self._programs: dict[str, str] = {}
        self._vens: dict[str, str] = {}

    def asked(self, method: str, path: str, query: Pairs, body: object) -> tuple[str, Pairs, object]:
        """Return path, query and body of the same request in 3.0.1."""
        kind, id_ = _parts(path)
        is_object = isinstance(body, dict) and method in {"POST", "PUT"} and bool(kind)
        written = self._body(kind, body) if is_object else body  # type: ignore[arg-type] # just looked at
        if kind == "resources":
            path, query = self._below_ven(path, id_, query, body)
        return path, _filters(kind, query), written

    def told(self, method: str, path: str, value: Any) -> Any:
        """Return the body of an answer as 3.1 would have it."""
        kind, _ = _parts(path)
        if isinstance(value, list):
            return [self.told(method, path, each) if isinstance(each, dict) else each for each in value]
        if not isinstance(value, dict) or "id" not in value or not kind:
            return value
        told = {name: item for name, item in value.items() if name != "resources" or kind != "vens"}
        _plain_targets(told)
        if isinstance(told.get("reportDescriptors"), list):
            told["reportDescriptors"] = [_plain_targets(dict(each)) for each in told["reportDescriptors"]]
        if kind == "events":
            self._programs[str(told["id"])] = str(told.get("programID"))
        elif kind == "reports":
            told.pop("programID", None)
        elif kind == "resources":
            self._vens[str(told["id"])] = str(told.get("venID"))
        elif kind == "vens":
            told.setdefault("clientID", self._clients.get(str(told["id"]), "unknown"))
        return told

    def owns(self, ven_id: str, client_id: str) -> None:
        """Remember whose a ven is."""
        self._clients[ven_id] = client_id

    def _body(self, kind: str, body: Obj) -> Obj:
        written = dict(body)
        _typed_targets(written)
        if kind in {"vens", "resources"}:
            written.pop("objectType", None)
        if kind == "events":
            written.setdefault("intervals", [])
            if isinstance(written.get("reportDescriptors"), list):
                written["reportDescriptors"] = [
                    _typed_targets(dict(each)) if isinstance(each, dict) else each for each in body["reportDescriptors"]
                ]
        elif kind == "reports" and "eventID" in written:
            written.setdefault("programID", self._programs.get(str(written["eventID"]), NOBODYS_ID))
        elif kind == "subscriptions":
            written.setdefault("programID", self.program)
        elif kind == "resources":
            for name in ("venID", "clientID"):
                written.pop(name, None)
        return written

    def _below_ven(self, path: str, id_: str, query: Pairs, body: object) -> tuple[str, Pairs]:
        """Put a path of resources below the ven that the id, the query or the body names."""
        named = [value for name, value in query if name == "venID"]
        if id_:
            ven = self._vens.get(id_, NOBODYS_ID)
        elif named:
            ven = str(named[0])
        else:
            ven = str(body.get("venID") or NOBODYS_ID) if isinstance(body, dict) else NOBODYS_ID
        return f"/vens/{ven}{path}", [pair for pair in query if pair[0] != "venID"]


def _parts(path: str) -> tuple[str, str]:
    """Return collection and id of a path of the API; both empty elsewhere."""
    kind, _, id_ = path.strip("/").partition("/")
    return (kind, id_) if path.startswith("/") and kind in _COLLECTIONS else ("", "")


def _filters(kind: str, query: Pairs) -> Pairs:
    targets = [value for name, value in query if name == "targets"]
    if not targets or not kind:
        return query
    values = [each for value in targets for each in (value if isinstance(value, list | tuple) else [value])]
    rest = [pair for pair in query if pair[0] != "targets"]
    return [*rest, ("targetType", TYPE), *(("targetValues", each) for each in values)]


def _typed_targets(obj: Obj) -> Obj:
    targets = obj.get("targets")
    if isinstance(targets, list) and all(isinstance(each, str) for each in targets):
        obj["targets"] = [{"type": TYPE, "values": targets}] if targets else []
    return obj


def _plain_targets(obj: Obj) -> Obj:
    targets = obj.get("targets")
    if isinstance(targets, list) and all(isinstance(each, dict) and "values" in each for each in targets):
        obj["targets"] = [value for each in targets for value in each["values"]]
    return obj


_COLLECTIONS: Final = frozenset({"programs", "events", "reports", "subscriptions", "vens", "resources"})
