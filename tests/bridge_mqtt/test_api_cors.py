"""Pages of other origins that call the bridge from a browser."""

from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import ApiSettings
from tests.bridge_mqtt.conftest import World
from tests.bridge_mqtt.test_api_ordering import TOKEN

PAGE, OTHER = "https://panels.example", "https://elsewhere.example"


async def ask(bridge: Bridge, method: str, path: str, **headers: str) -> tuple[int, CIMultiDict[str]]:
    """Status and headers of an answer, as a browser sends and sees them."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, bridge.api_url + path, headers=named) as answer,
    ):
        return answer.status, CIMultiDict(answer.headers)


async def start(world: World, **api: Any) -> Bridge:
    """A bridge that pages of one origin may call."""
    await world.add_panel("panel-1", plugged_in=False)
    return await world.start(api={"port": 0, "allowed_origins": [f"{PAGE}:443/"]} | api)


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/api/vens/", "GET, HEAD, POST"), ("/api/vens/panel-1", "DELETE, GET, HEAD, PATCH"), ("/health", "GET, HEAD")],
)
async def test_a_browser_asks_before_and_is_told_the_methods_of_the_path(
    sqlite_world: World, path: str, methods: str
) -> None:
    """A preflight carries no token, so it is answered without one; that opens nothing."""
    bridge = await start(sqlite_world, token="may read", write_token=TOKEN)

    status, headers = await ask(bridge, "OPTIONS", path, Origin=PAGE, Access_Control_Request_Method="PATCH")

    allowed = set(headers["Access-Control-Allow-Methods"].split(", "))
    assert (status, allowed | {"HEAD"}) == (204, set(methods.split(", ")))
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in headers
    assert (await ask(bridge, "GET", "/api/vens", Origin=PAGE))[0] == 401


@pytest.mark.parametrize(("origin", "path", "status"), [(OTHER, "/api/vens", 405), (PAGE, "/api/nothing", 404)])
async def test_a_preflight_of_another_origin_or_for_no_path_is_refused(
    sqlite_world: World, origin: str, path: str, status: int
) -> None:
    """Its browser then does not send the request."""
    bridge = await start(sqlite_world)

    answered, headers = await ask(bridge, "OPTIONS", path, Origin=origin, Access_Control_Request_Method="GET")

    assert (answered, "Access-Control-Allow-Methods" in headers) == (status, False)


async def test_pages_of_allowed_origins_read_answers_and_refusals(sqlite_world: World) -> None:
    """Without the header on a refusal too, a page could not say what was wrong."""
    bridge = await start(sqlite_world)
    site = {"Sec_Fetch_Site": "cross-site"}

    status, headers = await ask(bridge, "GET", "/api/vens", Origin=PAGE, **site)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert headers["Access-Control-Expose-Headers"] == "Link, Location, Retry-After"
    status, headers = await ask(bridge, "GET", "/api/vens/nobody", Origin=PAGE, **site)
    assert (status, headers["Access-Control-Allow-Origin"]) == (404, PAGE)
    status, headers = await ask(bridge, "GET", "/api/vens", Origin=OTHER, **site)
    assert (status, headers.get("Access-Control-Allow-Origin"), headers["Vary"]) == (403, None, "Origin")


@pytest.mark.parametrize("origin", ["*", "panels.example", "https://a.example/page", "https://u@a.example", "ftp://a"])
def test_an_origin_that_no_browser_would_send_is_refused(origin: str) -> None:
    """It would never match; ``*`` would let every page in."""
    with pytest.raises(ValueError, match=r"allowed_origins\n.*expected an origin such as"):
        ApiSettings.model_validate({"allowed_origins": [origin]})
