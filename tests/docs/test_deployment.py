"""The files in `deploy/` and the example settings are ones that systemd, the proxies and our programs can use."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from pydantic import BaseModel

from bridge_mqtt.settings import Settings as BridgeSettings
from oadr.config import load
from tests.docs.pages import ROOT, commands_in_line
from tests.docs.test_commands import parse
from ven.settings import VenSettings
from vtn.settings import Settings as VtnSettings

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
MODELS: dict[str, type[BaseModel]] = {"VTN": VtnSettings, "VEN": VenSettings, "BRIDGE": BridgeSettings}


def read(unit: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names are case sensitive
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Sections are known; where systemd is installed, it checks every key and value itself."""
    for unit in UNITS:
        assert set(read(unit).sections()) <= {"Unit", "Service", "Timer", "Install"}, unit.name
        text = unit.read_text(encoding="utf-8").replace("/opt/openadr/bin/oadr", "/bin/true")  # is not installed here
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    if (systemd := shutil.which("systemd-analyze")) is None:
        return
    files = [str(tmp_path / unit.name) for unit in UNITS]
    answer = subprocess.run([systemd, "verify", *files], capture_output=True, text=True, check=False, timeout=120)

    assert [line for line in answer.stderr.splitlines() if "openadr" in line] == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_has_few_rights(unit: Path) -> None:
    """Each runs under its own account, without privileges, with a file system that it cannot change."""
    service = read(unit)["Service"]

    assert service["User"] == "openadr"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["UMask"] == "0077"


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_calls_a_command_that_exists(unit: Path) -> None:
    """With options that it has."""
    text = read(unit)["Service"]["ExecStart"]
    line = text.replace("$$(date -u +%%Y-%%m-%%dT%%H%%M%%SZ)", "DATE").removeprefix("/bin/sh -c ").strip("'")
    found = list(commands_in_line(unit.name, line))

    assert len(found) == 1
    parse(found[0])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_gives_its_secret_to_a_setting_that_exists(unit: Path, tmp_path: Path) -> None:
    """The credential's file fills the setting; no secret stands in the unit itself."""
    service = read(unit)["Service"]
    variable, _, place = service["Environment"].partition("=")
    credential = service["LoadCredential"].partition(":")[0]
    secret = tmp_path / credential
    secret.write_text("postgresql://oadr:secret@db.example/oadr\n" if "URL" in variable else "secret\n")
    area = variable.split("_")[1]
    examples = {"VTN": DEPLOY / "vtn.toml", "VEN": ROOT / "docs/examples/home.toml"}
    file = examples.get(area, ROOT / "docs/examples/bridge.toml")
    settings = load(MODELS[area], prefix=f"OADR_{area}_", file=file, environment={variable: str(secret)})

    assert place == f"%d/{credential}"
    group, name = variable.removeprefix(f"OADR_{area}_").removesuffix("_FILE").lower().split("__")
    assert "secret" in getattr(getattr(settings, group), name).get_secret_value()


def test_the_proxy_fits_the_defaults_of_the_vtn() -> None:
    """It reaches the port that the VTN listens on and takes bodies as large as the VTN does."""
    settings = load(VtnSettings, prefix="OADR_VTN_", file=DEPLOY / "vtn.toml", environment={})
    nginx = (DEPLOY / "proxy/nginx.conf").read_text(encoding="utf-8")
    caddy = (DEPLOY / "proxy/Caddyfile").read_text(encoding="utf-8")
    address = f"{settings.host}:{settings.port}"

    assert f"server {address};" in nginx
    assert f"reverse_proxy {address}" in caddy
    assert settings.public_url == "https://" + re.findall(r"server_name (\S+);", nginx)[0]
    assert re.findall(r"client_max_body_size (\d+)m;", nginx) == [str(settings.body_limit_bytes >> 20)]
    assert nginx.count("{") == nginx.count("}")


@pytest.mark.parametrize("name", ["vtn", "home", "bridge"])
def test_an_example_can_be_used(name: str) -> None:
    """Each file of settings in `docs/examples` loads, given the secret that it asks for."""
    area = {"vtn": "VTN", "home": "VEN", "bridge": "BRIDGE"}[name]
    environment = {} if name == "vtn" else {f"OADR_{area}_VTN__CLIENT_SECRET": "secret"}

    load(MODELS[area], prefix=f"OADR_{area}_", file=ROOT / f"docs/examples/{name}.toml", environment=environment)
