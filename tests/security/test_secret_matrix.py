"""Every secret of the program against every way out, in real runs with a witness in each process."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from installer.errors import ErrorCode
from installer.flow.run_resources import lab_state_file
from tests.security import secret_matrix
from tests.security.observed_run import SETTINGS, UNNAMED, Observed, password_server, webhook_server
from tests.security.secret_matrix import (
    CARRY_THE_ENVIRONMENT,
    GIVEN,
    NOT_POSSIBLE,
    NOT_TRIED,
    ON_PURPOSE,
    USED_BY_WIZARD,
    Secret,
    WayOut,
)

WIFI = ("--sync", "wifi", "--ssid", "Home", "--passphrase-env", "MATRIX_PASSPHRASE")
SCRIPT = ("install", "--lab", "--non-interactive", "--json")
# A defect in the middle of sending: the values in its frames and its message are the secrets themselves.
DEFECT = """
from installer.provisioning.espressif import codec
def broken(ssid, passphrase):
    raise RuntimeError(f'cannot send {passphrase!r}')
codec.set_config = broken
from installer.cli.main import main
main()
"""
# The same when all is linked, and the cloud is to notify: by then the program has the tokens and the secret path.
LATE_DEFECT = """
from installer.notifications.subscriptions import AccountSubscriptions
def broken(self, url, applis):
    raise RuntimeError(f'cannot subscribe {url!r}', vars(self))
AccountSubscriptions.ensure = broken
from installer.cli.main import main
main()
"""


# When the gateway prepares to send: it has the webhook's address, its key and the proxy that leads there.
WEBHOOK_DEFECT = """
from installer.cloud.proxies import proxy_for
from installer.gateway.webhook_sink import WebhookSink
def broken(self, url, fetch_key, **named):
    raise RuntimeError(f'cannot send to {url}', fetch_key().get_secret_value(), proxy_for('https://hook.test').url)
WebhookSink.__init__ = broken
from installer.cli.main import main
main()
"""
# When a database is opened, with its password.
DATABASE_DEFECT = """
import psycopg
def broken(*words, **named):
    raise RuntimeError(f'cannot open {words} {named}', named['password'])
psycopg.connect = broken
from installer.cli.main import main
main()
"""
# A device is paired over a raw adapter in a process that then meets a defect with the keys in its frames.
PAIRING = """
import asyncio
from installer.bluetooth import open_adapter as opening
from installer.bluetooth.hci.key_ring import KeyRing
from installer.flow.bluetooth_keys import open_adapter

async def pairs(spec):
    async with await open_adapter(spec) as opened:
        heard = asyncio.Queue()
        async with opened.scanner(lambda device, advert: heard.put_nowait(device)):
            device = await asyncio.wait_for(heard.get(), 20)
        client = opened.client(device, None, 20)
        await client.connect()
        await opened.pair(client, device)
        await opened.pair(client, device)  # replaces the file
        await client.disconnect()
    return 'paired'

def broken(self, bond, identity):
    raise RuntimeError(f'cannot keep {bond} {bond.ltk.hex()} {identity}', bond.ltk, vars(bond))

opening.check_adapter = pairs
if DEFECT:
    KeyRing.add = broken
from installer.cli.main import main
main()
"""
_PAIRING = re.compile(
    r"bumble\.(pairing|keys|smp)\b|key_?store|pairing_(config|delegate)|^PairingConfig", re.IGNORECASE
)
WITH_A_WAY_OUT = (
    # Printing and logging.
    "print(x)",
    "import os; os.write(2, x)",
    "from os import write as put; put(2, x)",
    "import sys; sys.__stderr__.write(x)",
    "from sys import stderr; stderr.write(x)",
    "import typer; typer.echo(x)",
    "def later():\n    from rich.console import Console\n    Console().print(x)",
    "import rich; rich.print(x)",
    "import logging as log; log.warning(x)",
    "from logging.handlers import SysLogHandler",
    "import syslog; syslog.syslog(x)",
    "from warnings import warn; warn(x)",
    "import traceback; traceback.print_exc()",
    # To other computers.
    "import socket; socket.socket().sendto(x, to)",
    "from socket import socket as s; s().connect(to)",
    "import asyncio; asyncio.open_connection(x, 1)",
    "from asyncio import start_server",
    "loop.create_datagram_endpoint(x)",
    "import urllib.request; urllib.request.urlopen(x)",
    "from urllib.request import urlopen",
    "import httpx as h; h.post(x)",
    "import smtplib",
    "from http import client; client.HTTPConnection(x)",
    # Processes.
    "from subprocess import run; run(x)",
    "import subprocess as s; s.check_output(x)",
    "import asyncio; asyncio.create_subprocess_shell(x)",
    "import os; os.posix_spawn(x, y, z)",
    "from os import execvpe",
    "import webbrowser",
    # Files.
    "import os; os.open(x, flags)",
    "open(x, 'r+b')",
    "open(x, mode)",
    "path.open(mode='ab')",
    "with path.open('x') as f: pass",
    "import zipfile; zipfile.ZipFile(x, 'w')",
    "from gzip import open as o",
    "path.rename(x)",
    "path.replace(target)",
    "import os; os.symlink(x, y)",
    "from os import link; link(x, y)",
    "import shutil; shutil.move(x, y)",
    "import tempfile",
    "import io; io.open(x, 'w')",
)
WITHOUT_A_WAY_OUT = (
    "text.replace('a', 'b')",
    "moment.replace(fold=1)",
    "import dataclasses; dataclasses.replace(x)",
    "import os; os.path.join(x, os.environ['A'])",
    "import sys; sys.stdin.isatty()",
    "import shutil; shutil.get_terminal_size()",
    "from urllib.request import getproxies",
    "import warnings; warnings.catch_warnings()",
    "import asyncio; asyncio.run(x)",
    "open(x)",
    "open(x, 'rb')",
    "path.open(encoding='utf-8')",
    "from connections import Connection; Connection.open(x, y)",
    "if TYPE_CHECKING:\n    import socket",
)


def installs(it: Observed) -> None:
    """A Wi-Fi device with a proof, by script; the account is signed in to, and the cloud is to notify."""
    address = it.world.address("bpm-connect")
    device = ("--device", address, "--proof-env", "MATRIX_PROOF")
    with webhook_server() as to:
        it.run(*SCRIPT, *device, *WIFI, "--notify", f"{to.base}/{{path}}")
    assert it.world.device("bpm-connect")["joined"] == "Home"
    it.run("install", "--lab", "--non-interactive", "--device", it.world.address("body"), *WIFI)
    record = json.loads(it.run("records", "list", "--json", "--lab").stdout.splitlines()[0])["id"]
    exports = [f"records export --lab --out {it.home}/export/records.{ending}" for ending in ("json", "csv", "html")]
    shown = [f"records show {record} --lab", f"records show --json {record} --lab", "records list --lab"]
    it.run_all(*exports, *shown, "notifications list --lab --json", "account list --lab", "doctor --lab --json")


def fails(it: Observed) -> None:
    """Each secret is wrong, refused or in the way of a defect."""
    device = ("--device", it.world.address("bpm-connect"), "--proof-env", "MATRIX_PROOF")
    wrong = it.run(*SCRIPT, *device, *WIFI, status=ErrorCode.JOIN_FAILED.exit_status, MATRIX_PASSPHRASE="wrong horse")
    it.run("install", "--lab", "--non-interactive", *device, *WIFI, status=53, MATRIX_PROOF="wrong proof")
    it.run(*SCRIPT, *device, *WIFI, status=ErrorCode.INTERNAL.exit_status, program=DEFECT)
    it.run("resume", "--lab", "--list", "--json")
    assert b"wrong horse" not in wrong.stdout + wrong.stderr


def collects(it: Observed) -> None:
    """The gateway meets a defect, delivers to a webhook, and cannot behind a proxy; and the unit to start it."""
    it.run(*SCRIPT, "--device", it.world.address("pulse-hr"), "--sync", "bluetooth")
    once = ("gateway", "once", "--lab", "--json", "--quiet", "0.3")
    it.run(*once, status=ErrorCode.INTERNAL.exit_status, program=WEBHOOK_DEFECT)
    with webhook_server() as to:
        it.run(*once, MATRIX_WEBHOOK=f"{to.base}/{Secret.WEBHOOK_ADDRESS.value}")
    assert to.got
    it.world.act("pulse-hr", "measure")
    proxy = f"http://nurse:{Secret.PROXY_PASSWORD}@127.0.0.1:1"  # nobody listens there
    it.run(*once, status=ErrorCode.GATEWAY_INCOMPLETE.exit_status, HTTPS_PROXY=proxy)
    it.add(WayOut.SERVICE, "unit", it.run("gateway", "install-service", "--print").stdout)
    export = f"data export --lab --out {it.home}/export/data.csv"
    assert b"through the proxy 127.0.0.1:1" in it.run_all("gateway status --lab", "data fetch --lab", export)


def asks_databases(it: Observed) -> None:
    """Servers that ask for the password and end the connection; and a defect where it is given to the driver."""
    for words in (("ledger", "status", "--ledger"), ("data", "show", "--database")):
        with password_server() as server:
            url = f"postgresql://nurse@{server.host}/clinic"
            it.run(*words, url, status=ErrorCode.DATABASE_FAILED.exit_status)
            it.run(*words, url, status=ErrorCode.INTERNAL.exit_status, program=DATABASE_DEFECT)
        assert server.asked
        it.add(WayOut.ADDRESSES, f"server of {words[0]}", server.got)
    with password_server() as server:
        named = SETTINGS
        for section in ("[ledger]", "[data]"):
            named = named.replace(section, f'{section}\nurl = "postgresql://nurse@{server.host}/clinic"')
        (it.home / "config" / "config.toml").write_text(named, "utf-8")
        found = ErrorCode.DOCTOR_FOUND.exit_status
        told = it.run("doctor", "--json", "--adapter", it.world.state.adapter, status=found, **UNNAMED).stdout
    assert server.asked
    assert b"through the proxy proxy.test:3128" in told


def signs_in(it: Observed) -> None:
    """A person signs in with a browser, a process of its own, and installs; at the second device comes a defect."""
    state = it.world.state
    place = ("--adapter", state.adapter, "--cloud", state.cloud, "--account", "home")
    with webhook_server() as to:
        notify = ("--notify", f"{to.base}/{{path}}")
        it.run("account", "login", "home", "--cloud", state.cloud, BROWSER=it.browser(), **UNNAMED)
        device = ("--device", it.world.address("body"))
        it.run("install", "--non-interactive", "--json", *place, *device, *WIFI, *notify)
        device = ("--device", it.world.address("body-plus"))
        crash = ErrorCode.INTERNAL.exit_status
        it.run("install", "--non-interactive", *place, *device, *WIFI, *notify, program=LATE_DEFECT, status=crash)
    it.add(WayOut.SERVICE, "unit", it.run("gateway", "install-service", "--print").stdout)
    it.run_all(
        f"records export --out {it.home}/export/records.json",
        f"account list --cloud {state.cloud}",
    )


def starts_a_lab(it: Observed) -> None:
    """A process of its own, which goes on when this run is over."""
    lab_state_file().unlink()
    device = ("--device", it.world.address("bpm-connect"), "--proof-env", "MATRIX_PROOF")
    try:
        # The device of the new lab has another proof.
        wrong = ErrorCode.PROOF_WRONG.exit_status
        it.run("install", "--lab", "--non-interactive", "--dry-run", *device, *WIFI, status=wrong)
    finally:
        it.run("lab", "stop")


def serves(it: Observed) -> None:
    """The receiver of notifications is told of data by the cloud."""
    it.run(*SCRIPT, "--device", it.world.address("body"), *WIFI)
    with it.running("notifications", "serve", "--lab", "--port", "0", "--poll", "0", "--json") as serving:
        assert serving.stdout is not None
        while b"receiver_ready" not in (line := serving.stdout.readline()):
            assert line, "it ended"
    it.run_all("notifications list --lab", "account list --lab")


def pairs(it: Observed) -> None:
    """A device is paired over a raw adapter, is used again, and the next pairing comes upon a defect."""
    adapter = f"--adapter {it.world.state.adapter}"
    doctor = ("doctor", "--json", *adapter.split())
    told = it.run(*doctor, program=PAIRING.replace("DEFECT", "False"), status=ErrorCode.DOCTOR_FOUND.exit_status)
    assert b"paired" in told.stdout
    listed = it.run_all(*(f"bonds {words} {adapter}" for words in ("list", "list --json", "forget --all --dry-run")))
    assert b"Would be erased" in listed
    told = it.run(*doctor, program=PAIRING.replace("DEFECT", "True"), status=ErrorCode.DOCTOR_FOUND.exit_status)
    assert b"(RuntimeError)" in told.stdout


class Run(NamedTuple):
    """A run: what it uses of the secrets that it is given, which others the program gets or makes, the ways it goes.

    All that it is given is in its environment; used is what it reads from there and works with.
    """

    act: Callable[[Observed], Any]
    uses: set[Secret]
    makes: set[Secret]
    goes: set[WayOut]

    def tries(self) -> set[tuple[Secret, WayOut]]:
        """What it tries: what it uses or makes on each way, and on those that the environment itself goes, all."""
        worked_with = set(itertools.product(self.uses | self.makes, self.goes))
        return worked_with | set(itertools.product(GIVEN, self.goes & CARRY_THE_ENVIRONMENT))


_ALWAYS = {WayOut.MESSAGES, WayOut.FILES, WayOut.CORE, WayOut.ADDRESSES, WayOut.LOGS}
_INSTALLS = {Secret.CLIENT_SECRET, Secret.LAB_USER, Secret.TOKENS}
_DEVICE = {Secret.PASSPHRASE, Secret.PROOF}
_DATABASES = {Secret.LEDGER_PASSWORD, Secret.STORE_PASSWORD}
_WEBHOOK = {Secret.WEBHOOK_ADDRESS, Secret.WEBHOOK_KEY, Secret.PROXY_PASSWORD}
RUNS = (
    Run(
        installs,
        _DEVICE,
        _INSTALLS | {Secret.RECEIVER_PATH},
        _ALWAYS | {WayOut.RESULTS, WayOut.LEDGER, WayOut.TEMPORARY, WayOut.EXPORTS},
    ),
    Run(fails, _DEVICE, _INSTALLS - {Secret.TOKENS}, _ALWAYS | {WayOut.RESULTS, WayOut.LEDGER, WayOut.CRASH_REPORT}),
    # The gateway writes into the store and the outbox, and no ledger; what is exported was stored before.
    Run(
        collects,
        _WEBHOOK,
        _INSTALLS,
        _ALWAYS | {WayOut.RESULTS, WayOut.EXPORTS, WayOut.SERVICE, WayOut.TEMPORARY, WayOut.CRASH_REPORT},
    ),
    Run(
        asks_databases,
        _DATABASES | {Secret.PROXY_PASSWORD},
        set(),
        _ALWAYS | {WayOut.RESULTS, WayOut.CRASH_REPORT},
    ),
    Run(
        starts_a_lab,
        {Secret.PROOF},
        {Secret.CLIENT_SECRET, Secret.LAB_USER},
        _ALWAYS - {WayOut.FILES} | {WayOut.CHILD},
    ),
    Run(
        signs_in,
        {Secret.PASSPHRASE},
        # The lab's user types the password into a browser; the program does not get it.
        _INSTALLS - {Secret.LAB_USER} | {Secret.SIGN_IN_CODE, Secret.SIGN_IN_STATE, Secret.RECEIVER_PATH},
        set(WayOut) - {WayOut.WIZARD},
    ),
    Run(
        pairs,
        set(),
        {Secret.BOND_KEYS},
        _ALWAYS | {WayOut.RESULTS, WayOut.TEMPORARY, WayOut.CRASH_REPORT},
    ),
    Run(serves, {Secret.PASSPHRASE}, _INSTALLS | {Secret.RECEIVER_PATH}, _ALWAYS | {WayOut.RESULTS}),
)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.act.__name__)
def test_no_secret_goes_out(observed: Observed, run: Run) -> None:
    run.act(observed)
    observed.collect()
    gone = {way for way, places in observed.ways.items() if any(places.values())}
    assert run.goes <= gone
    assert run.makes | GIVEN <= {secret for secret, _ in observed.secrets()}
    assert "\n".join(observed.leaks()) == ""
    # No process may leave an image of its memory, or let another program of the same user read it.
    ends = [json.loads(line) for core in observed.ways[WayOut.CORE].values() for line in core.splitlines()]
    assert [command for largest, readable, command in ends if largest or readable] == []


def test_every_secret_is_tried_on_every_way_out() -> None:
    tried = {cell for run in RUNS for cell in run.tries()}
    # The wizard's run needs a terminal: `system/test_wizard_secrets.py`.
    tried |= {(secret, WayOut.WIZARD) for secret in USED_BY_WIZARD}
    cells, untried = set(itertools.product(Secret, WayOut)), set(NOT_POSSIBLE) | set(NOT_TRIED)
    assert sorted(cells - tried - untried) == []
    assert not tried & untried
    assert set(ON_PURPOSE) <= tried


def test_the_page_about_trust_names_every_secret() -> None:
    page = (secret_matrix.ROOT / "docs" / "threat-model.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", page.partition("## What is protected")[2].partition("\n## ")[0], re.MULTILINE)
    assert set(rows) - {"secret", "health data"} == set(secret_matrix.IN_WORDS.values())
    assert set(secret_matrix.IN_WORDS) == set(Secret)


def test_every_field_with_a_secret_has_a_place_in_the_matrix() -> None:
    listed = [field for fields in secret_matrix.FIELDS.values() for field in fields]
    assert sorted([*listed, *secret_matrix.NO_SECRETS]) == sorted(secret_matrix.fields_with_secrets())


def test_every_module_with_a_way_out_has_a_place_in_the_matrix() -> None:
    listed = [module for modules in secret_matrix.MODULES.values() for module in modules]
    assert sorted([*listed, *secret_matrix.NO_WAY_OUT]) == sorted(secret_matrix.modules_with_ways_out())


@pytest.mark.parametrize("code", WITH_A_WAY_OUT)
def test_each_way_out_of_a_module_is_seen(code: str) -> None:
    assert secret_matrix.leads_out(ast.parse(code))


@pytest.mark.parametrize("code", WITHOUT_A_WAY_OUT)
def test_what_leads_nowhere_is_no_way_out(code: str) -> None:
    assert not secret_matrix.leads_out(ast.parse(code))


def test_nothing_reads_the_keys_of_a_bond() -> None:
    # BlueZ keeps them in files of root; its D-Bus interface does not give them.
    for name, tree in secret_matrix.modules():
        words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        assert not any("/var/lib/bluetooth" in word or "LongTermKey" in word for word in words), name


# Who pairs or has to do with a store of keys.
PAIRING_MODULES = {
    "installer.bluetooth.adapter",
    "installer.bluetooth.bluez.pair",
    "installer.bluetooth.bluez.system_pairing",
    "installer.bluetooth.connection",
    "installer.bluetooth.hci.client",
    "installer.bluetooth.hci.host",
    "installer.bluetooth.hci.pairing",
    "installer.bluetooth.pairing_on_demand",
    "installer.bluetooth.raw_adapter",
    "installer.bluetooth.system_adapter",
    "installer.flow.steps.device_connection",
}


def test_only_these_modules_pair() -> None:
    assert {name for name, tree in secret_matrix.modules() if set(pairing_in(tree))} == PAIRING_MODULES


@pytest.mark.parametrize(
    "code",
    [
        "await client.pair()",
        "BleakClient(x, pair=True)",
        "client.connect(pair=chosen)",
        "connect(True, **{'pair': True})",
        "import bumble.pairing",
        "from bumble.pairing import PairingConfig as P",
        "from bumble import keys",
        "from bumble.smp import Manager",
        "device.keystore = x",
        "device.pairing_config_factory",
        "bus.call('org.bluez.Device1', 'Pair')",
    ],
)
def test_pairing_is_seen(code: str) -> None:
    assert list(pairing_in(ast.parse(code)))


def pairing_in(tree: ast.Module) -> Iterator[str]:
    """What pairs or has to do with a store of keys: names that are imported, used or passed. Advice is none."""
    for part in ast.walk(tree):
        if isinstance(part, ast.Call) and getattr(part.func, "attr", "") in ("pair", "call_pair", "create_bond"):
            yield "pair()"
        elif isinstance(part, ast.keyword) and part.arg == "pair":
            yield "pair="
        elif isinstance(part, ast.Constant) and part.value in ("pair", "Pair"):
            yield "'pair'"
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name == "pair":
            yield "pair"
        names = [getattr(part, "attr", ""), getattr(part, "id", ""), getattr(part, "module", "") or ""]
        names += [one.name for one in getattr(part, "names", ()) if isinstance(one, ast.alias)]
        if isinstance(part, ast.ImportFrom) and part.module == "bumble":
            names += [f"bumble.{one.name}" for one in part.names]
        yield from (name for name in names if _PAIRING.search(name))
