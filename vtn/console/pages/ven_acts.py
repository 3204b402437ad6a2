"""Acts on one VEN: its secret, suspension, groups, what only OpenADR 2.0b has, and its removal."""

from __future__ import annotations

from aiohttp import web

from openadr_profiles.join_line import BadJoinLine
from openadr_profiles.v31 import Invalid
from vtn.access import Role as ClientRole
from vtn.access import UserRole
from vtn.auth.clients import Client, Credentials
from vtn.console.handing_out import handout
from vtn.console.pages.add_ven import fingerprint_in, join_lines
from vtn.console.pages.ven import found, has_come, version_of
from vtn.console.reading_forms import text
from vtn.console.routes import ConsoleRoute, Role, Show
from vtn.console.visit import Visit
from vtn.errors import Conflict, NotFound
from vtn.store.console.ven import VenFactStore

_MESSAGES = {"reregister": "oadrRequestReregistration", "cancel": "oadrCancelPartyRegistration"}


async def show_secret(visit: Visit) -> web.StreamResponse:
    """Ask for what a new join line needs, before the secret is changed."""
    row, _ = await found(visit)
    client = await visit.console.clients.get(row.client_id)
    return visit.render("ven_secret.html", row=row, client=client, client_version=version_of(client))


async def new_secret(visit: Visit) -> web.StreamResponse:
    """Give a VEN a new secret, or its first one, and show it this once; the old one and its tokens end.

    A form that was sent twice changes nothing the second time: a device may have joined in between.
    """
    row, _ = await found(visit)
    form, clients = await visit.form(), visit.console.clients
    client = await clients.get(row.client_id)
    try:
        _must_have_own_client(visit, row.language)
        if form.get("version", "") != version_of(client):
            raise Conflict("the secret was changed since this page was opened; nothing was done now")
        lines = join_lines(visit)
        lines.must_be_possible(row.client_id, ven_name=row.name)
        made = await _made(visit, row.client_id, client)
    except (Invalid, Conflict, BadJoinLine) as error:
        return visit.refuse(f"{error}.", "ven_secret.html", row=row, client=client, client_version=version_of(client))
    await visit.audit("secret changed" if client else "credentials made", f"ven {row.name}")
    handed = handout(made, lines, ven_name=row.name)
    again = client is not None
    return visit.render("handout.html", handed=handed, ven_id=row.ven_id, ven_name=row.name, is_again=again)


async def suspend(visit: Visit) -> web.StreamResponse:
    """Give a VEN no more tokens, or tokens again."""
    row, _ = await found(visit)
    is_ending = (await visit.form()).get("act") == "suspend"
    clients = visit.console.clients
    await (clients.suspend if is_ending else clients.resume)(row.client_id)
    await visit.audit("suspended" if is_ending else "resumed", f"ven {row.name}")
    said = "gets no more tokens; those it has end within a minute" if is_ending else "may get tokens again"
    return visit.redirect("ven", said=f"{row.name} {said}.", ven_id=row.ven_id)


async def change_group(visit: Visit) -> web.StreamResponse:
    """Grant a group to a VEN, or take it back."""
    row, _ = await found(visit)
    form = await visit.form()
    try:
        group = text(form, "group", what="the name of a group")
    except Invalid as error:
        return visit.refuse(f"{error}.", "ven_refused.html", row=row)
    change, grants = visit.console.stores.enrolment, form.get("act") != "revoke"
    done = await (change.grant if grants else change.revoke)([row.ven_id], group)
    if not done.changed:
        said = f"{row.name} holds {group} already." if grants else f"{row.name} does not hold {group}."
        return visit.redirect("ven", said=said, ven_id=row.ven_id)
    before, after = list(row.targets), [each for each in row.targets if each != group] + [group] * grants
    act = "group granted" if grants else "group taken back"
    await visit.audit(act, f"ven {row.name}", before={"groups": before}, after={"groups": after})
    words = "is granted to" if grants else "is taken back from"
    return visit.redirect("ven", said=f"{group} {words} {row.name}.", ven_id=row.ven_id)


async def change_20b(visit: Visit) -> web.StreamResponse:
    """Do what only a VEN of OpenADR 2.0b needs: enable, disable, register again, end, and change certificates."""
    row, _ = await found(visit)
    form, stores = await visit.form(), visit.console.stores
    try:
        known = await stores.v20b.listing.of(row.ven_id)
        if not known:
            raise Invalid("act", "this VEN is not of OpenADR 2.0b")
        act = form.get("act", "")
        if act in _MESSAGES:
            if not known[0].registered:
                raise Conflict("the VEN is not registered, so there is nothing to renew or to end")
            await stores.v20b.outbox.put(row.ven_id, _MESSAGES[act], is_control=True)
            said = "is told so at its next poll"
        elif act in {"enable", "disable"}:
            await stores.v20b.vens.enrol(row.name, by=visit.caller, is_disabled=act == "disable")
            said = f"is {act}d"
        elif act in {"add_certificate", "drop_certificate"}:
            given = fingerprint_in("fingerprint", text(form, "fingerprint", what="a fingerprint"))
            new, old = (given, None) if act == "add_certificate" else (None, given)
            await stores.v20b.vens.enrol(row.name, by=visit.caller, fingerprint=new, dropped=old)
            said = "is known by the certificate" if new else "is not known by this certificate any more"
        else:
            raise Invalid("act", "expected enable, disable, reregister, cancel, add_certificate or drop_certificate")
    except (Invalid, Conflict) as error:
        return visit.refuse(f"{error}.", "ven_refused.html", row=row)
    await visit.audit(f"2.0b: {act.replace('_', ' ')}", f"ven {row.name}")
    return visit.redirect("ven", said=f"{row.name} {said}.", ven_id=row.ven_id)


async def show_removal(visit: Visit) -> web.StreamResponse:
    """Say what goes with a VEN, and ask whether it is to be removed."""
    row, panels = await found(visit)
    its = await visit.console.store(VenFactStore).belongings(row.ven_id, row.client_id)
    return visit.render("ven_remove.html", row=row, panels=panels, its=its)


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a VEN with its client, subscriptions and resources, if its name was typed; its reports stay."""
    row, panels = await found(visit)
    facts = visit.console.store(VenFactStore)
    its = await facts.belongings(row.ven_id, row.client_id)
    if (await visit.form()).get("name", "").strip() != row.name:
        message = f"name: type the name of the VEN, {row.name}, to remove it."
        return visit.refuse(message, "ven_remove.html", row=row, panels=panels, its=its)
    if await visit.console.clients.get(row.client_id) is not None:
        await visit.console.clients.remove(row.client_id)  # first: it cannot register itself again
    stores = visit.console.stores
    for subscription_id in await facts.subscription_ids(row.client_id):
        await stores.subscriptions.delete(subscription_id, by=visit.caller)
    await stores.vens.delete(row.ven_id, by=visit.caller)
    before = {"client_id": row.client_id, "groups": list(row.targets), "resources": its.resources}
    await visit.audit("ven removed", f"ven {row.name}", before=before)
    return visit.redirect("fleet", said=f"{row.name} is removed.")


async def show_arrival(visit: Visit) -> web.StreamResponse:
    """Say whether a VEN was heard of yet: the line that the page of its credentials asks for again and again."""
    row, _ = await found(visit)
    return visit.render("arrival.html", row=row, has_come=await has_come(visit, row))


async def _made(visit: Visit, client_id: str, client: Client | None) -> Credentials:
    if client is None:
        return await visit.console.clients.add(client_id, ClientRole.VEN)
    if client.role is not ClientRole.VEN:
        raise Conflict("the client of this VEN is business logic; its secret is changed with oadr vtn client rotate")
    try:
        return await visit.console.clients.rotate(client_id)
    except NotFound:
        raise Conflict("the client was removed meanwhile; open the page of the VEN again") from None


def _must_have_own_client(visit: Visit, language: str | None) -> None:
    if language == "OpenADR 2.0b":
        raise Conflict("a VEN of OpenADR 2.0b has no secret: it is known by its certificate")
    if not visit.console.settings.auth.gives_tokens:
        raise Conflict("tokens come from auth.external.token_url: change the secret there")


def _route(method: str, path: str, handler: Show, role: UserRole, name: str, title: str) -> ConsoleRoute:
    return ConsoleRoute(method, f"/fleet/vens/{{ven_id}}{path}", handler, role=role, name=name, title=title)


ROUTES = (
    _route("GET", "/secret", show_secret, Role.ADMIN, "ven_secret", "New secret"),
    _route("POST", "/secret", new_secret, Role.ADMIN, "ven_new_secret", "New secret"),
    _route("POST", "/suspended", suspend, Role.OPERATOR, "ven_suspended", "Suspend"),
    _route("POST", "/groups", change_group, Role.OPERATOR, "ven_groups", "Groups"),
    _route("POST", "/20b", change_20b, Role.OPERATOR, "ven_20b", "OpenADR 2.0b"),
    _route("GET", "/remove", show_removal, Role.OPERATOR, "ven_removal", "Remove"),
    _route("POST", "/remove", remove, Role.OPERATOR, "ven_remove", "Remove"),
    _route("GET", "/arrival", show_arrival, Role.VIEWER, "ven_arrival", "First contact"),
)
