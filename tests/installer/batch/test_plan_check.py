"""A plan from a spreadsheet or an editor: read whatever its form, or every mistake told at once with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.batch import plan_check, plan_reader, spreadsheet
from installer.batch.plan import Plan
from installer.batch.plan_check import PlanResources
from installer.batch.plan_format import PlanFile, template
from installer.catalogue import catalogue_file
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import on_command_line
from installer.wifi.networks import Security
from installer.wifi.saved_networks import SavedNetwork

PASSPHRASE = "correct horse battery staple"
CATALOGUE = catalogue_file.load()


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> PlanResources:
    monkeypatch.setenv("TEST_PASSPHRASE", PASSPHRASE)
    clinic = SavedNetwork(ssid="Clinic", passphrase=on_command_line(env="TEST_PASSPHRASE"))
    guests = SavedNetwork(ssid="Guests", security=Security.OPEN)
    lost = SavedNetwork(ssid="Lost", passphrase=on_command_line(env="NOT_SET_ANYWHERE"))
    return PlanResources(CATALOGUE, {"clinic": clinic, "guests": guests, "lost": lost}, ["ward-3"])


def written(folder: Path, text: str | bytes, name: str = "plan.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: Path, resources: PlanResources, **over: Any) -> Plan:
    return plan_check.check(plan_reader.read(path), resources, over)


def mistakes(path: Path, resources: PlanResources, **over: Any) -> list[dict[str, Any]]:
    with pytest.raises(InstallerError) as caught:
        read(path, resources, **over)
    assert caught.value.code is ErrorCode.PLAN_INVALID
    return list(caught.value.data["mistakes"])


def places(found: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(m["line"], m["column"], m["name"]) for m in found]


@pytest.mark.parametrize("kind", ["csv", "toml"])
def test_a_template_is_a_plan(tmp_path: Path, resources: PlanResources, kind: Any) -> None:
    plan = read(written(tmp_path, template(kind), f"berlin.{kind}"), resources)
    assert [u.name for u in plan.units] == ["1", "2", "3.1", "3.2", "3.3", "3.4"]
    assert plan.units[1].link_later
    assert {u.site for u in plan.units} == {"Berlin"}
    assert plan.units[5].sync is SyncMethod.BLUETOOTH
    assert plan.units[5].network is None


ROWS = [("device", "model", "count", "network", "site", "account"), ("", "Body+", "2", "clinic", "Köln; Süd", "ward-3")]
NO_QUOTES = [(*ROWS[0],), ("", "Body+", "2", "clinic", "Köln", "ward-3")]


def table(rows: list[tuple[str, ...]], separator: str, end: str = "\r\n") -> str:
    quoted = [[f'"{c}"' if ";" in c or "," in c else c for c in row] for row in rows]
    return end.join(separator.join(row) for row in quoted) + end


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_whatever_a_spreadsheet_saves(tmp_path: Path, resources: PlanResources, separator: str, encoding: str) -> None:
    text = table([*ROWS, ("",) * 6, ("00:24:E4:12:34:56", "", "", "clinic", "", "ward-3")], separator)
    plan = read(written(tmp_path, text.encode(encoding)), resources)
    assert [(u.name, u.model, u.site) for u in plan.units] == [
        ("1.1", "body-plus", "Köln; Süd"),
        ("1.2", "body-plus", "Köln; Süd"),
        ("2", None, ""),
    ]
    assert bool(plan.remarks) is (encoding == "cp1252")


def test_a_spreadsheets_habits(tmp_path: Path, resources: PlanResources) -> None:
    text = (
        "sep=;\r\n# devices of ward 3\r\n\r\n"
        'MAC Address; "Model" ;Qty;Wi-Fi method;Sync Method;SSID;Account;Comments;Colour;\r\n'
        ';body-plus;2,00;;Wi-Fi;Clinic;ward-3;"two\r\nlines ""quoted""";red;\r\n;;;;;;;;;\r\n'
        "0024e4123456;;;;WLAN;Clinic;later;;;;;\r\n"
    )
    plan = read(written(tmp_path, text), resources)
    assert [u.name for u in plan.units] == ["1.1", "1.2", "2"]
    assert plan.units[0].notes == 'two\r\nlines "quoted"'
    assert plan.units[2].device == "00:24:E4:12:34:56"
    assert plan.units[2].position.line == 8
    assert plan.units[2].link_later
    assert any("“Colour” is ignored" in r for r in plan.remarks)


def test_every_mistake_at_once_with_its_place(tmp_path: Path, resources: PlanResources) -> None:
    text = table(
        [
            ("device", "model", "count", "sync", "network", "account", "proof"),
            ("00:24:E4:12:34:5G", "Body+", "", "wifi", "clinic", "ward-3", ""),
            ("", "bodi", "1,5", "wifi", "clinik", "ward3", "hunter2hunter2"),
            ("", "Sleep", "", "bluetooth", "", "ward-3", ""),
            ("", "Move", "", "wifi", "", "ward-3", ""),
            ("00:24:E4:12:34:56", "Body", "", "wifi", "clinic", "ward-3", ""),
            ("0024E4123456", "Body", "", "wifi", "lost", "ward-3", ""),
            ("", "Body", "", "bluetooth", "clinic", "ward-3", ""),
            ("", "Body", "", "", "", "ward-3", ""),
            ("", "Body", "", "wifi", "", "ward-3", ""),
            ("", "", "3", "wifi", "clinic", "ward-3", ""),
            ("00:24:E4:12:34:57", "", "3", "wifi", "clinic", "ward-3", ""),
            ("", "Thermo", "2", "wifi", "clinic", "ward-3", "env:PROOF"),
            ("", "Thermo", "0", "by mail", "clinic", "ward-3", "", "spare"),
        ],
        ";",
    )
    found = mistakes(written(tmp_path, text), resources)
    assert places(found) == [
        (2, 1, "device"),
        (3, 2, "model"),
        (3, 3, "count"),
        (3, 5, "network"),
        (3, 6, "account"),
        (3, 7, "proof"),
        (4, 4, "sync"),
        (5, 4, "sync"),
        (7, 1, "device"),
        (7, 5, "network"),
        (8, 5, "network"),
        (9, 2, "model"),
        (10, 4, "sync"),
        (11, 0, ""),
        (12, 0, ""),
        (13, 7, "proof"),
        (14, 3, "count"),
        (14, 4, "sync"),
        (14, 8, ""),
    ]
    words = " ".join(f"{m['what']} {m['todo']}" for m in found)
    assert "Did you mean “body”?" in words
    assert "Did you mean “clinic”?" in words
    assert "hunter2" not in words
    assert PASSPHRASE not in words


@pytest.mark.parametrize("name", ["passphrase", "Wi-Fi password", "PSK", "Passwort", "api_key", "PIN"])
@pytest.mark.parametrize("kind", ["csv", "toml"])
def test_a_secret_has_no_place_in_a_plan(tmp_path: Path, resources: PlanResources, name: str, kind: str) -> None:
    if kind == "csv":
        text = f"model,network,account,{name}\nbody-plus,clinic,ward-3,{PASSPHRASE}\n"
    else:
        text = f'[[row]]\nmodel = "body-plus"\nnetwork = "clinic"\n"{name}" = "{PASSPHRASE}"\n'
    found = mistakes(written(tmp_path, text, f"plan.{kind}"), resources, sync="wifi", account="ward-3")
    assert any("would hold a secret" in m["what"] for m in found)
    assert PASSPHRASE not in str(found)


def test_an_unsaved_ssid_needs_its_passphrase_from_elsewhere(tmp_path: Path, resources: PlanResources) -> None:
    path = written(tmp_path, "model,ssid,sync,account\nbody-plus,Elsewhere,wifi,ward-3\n")
    assert "passphrase is not known" in mistakes(path, resources)[0]["what"]
    given_one = PlanResources(
        resources.catalogue, resources.networks, resources.accounts, on_command_line(env="TEST_PASSPHRASE")
    )
    network = read(path, given_one).units[0].network
    assert network is not None
    assert network.passphrase == on_command_line(env="TEST_PASSPHRASE")


def test_a_default_holds_for_the_models_that_can(tmp_path: Path, resources: PlanResources) -> None:
    text = (
        '[defaults]\nsync = "wifi"\nnetwork = "clinic"\naccount = "ward-3"\n'
        '[[row]]\nmodel = "body-plus"\n[[row]]\nmodel = "move"\n[[row]]\nmodel = "body"\nnetwork = "guests"\n'
    )
    scale, watch, other = read(written(tmp_path, text, "p.toml"), resources, site="Berlin").units
    assert (scale.sync, scale.network and scale.network.ssid, scale.site) == (SyncMethod.WIFI, "Clinic", "Berlin")
    assert (watch.sync, watch.network) == (SyncMethod.BLUETOOTH, None)
    assert other.network is not None
    assert other.network.ssid == "Guests"
    over = read(written(tmp_path, text, "p.toml"), resources, network="guests", account="later").units[0]
    assert over.network is not None
    assert (over.network.ssid, over.link_later) == ("Guests", True)


def test_the_sync_rule_holds_for_a_device_whose_model_shows_later(resources: PlanResources, tmp_path: Path) -> None:
    text = (
        'defaults = { sync = "wifi", network = "clinic", account = "ward-3" }\n[[row]]\ndevice = "00:24:E4:12:34:56"\n'
    )
    unit = read(written(tmp_path, text, "p.toml"), resources).units[0]
    watch = unit.answers(unit.device or "", CATALOGUE.get("move"), verify=None)
    assert watch.sync is not None
    assert (watch.sync.method, watch.network) == (SyncMethod.BLUETOOTH, None)
    firm = (
        'defaults = { network = "clinic", account = "ward-3" }\n[[row]]\ndevice = "00:24:E4:12:34:56"\nsync = "wifi"\n'
    )
    unit = read(written(tmp_path, firm, "p.toml"), resources).units[0]
    asked = unit.answers(unit.device or "", CATALOGUE.get("move"), verify=None)
    # The engine refuses it, with the reason.
    assert asked.sync is not None
    assert asked.sync.method is SyncMethod.WIFI


def test_toml_mistakes_have_lines_too(tmp_path: Path, resources: PlanResources) -> None:
    text = (
        'name = "x"\nfoo = 1\n[defaults]\nsync = "wifi"\nnetwork = "clinic"\naccount = "ward-3"\n\n'
        '[[row]]\nmodel = "body"\ncuont = 2\n[[row]]\n  device = "zz"\n'
    )
    assert places(mistakes(written(tmp_path, text, "p.toml"), resources)) == [
        (2, 1, "foo"),
        (10, 1, "cuont"),
        (12, 3, "device"),
    ]
    broken = mistakes(written(tmp_path, "[[row]]\nmodel = \n", "q.toml"), resources)
    assert broken[0]["line"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "names no column"),
        (b"model,model\nbody,body\n", "occurs twice"),
        (b'model,count\n"body,1\n', "does not end"),
        (b"PK\x03\x04\0\0\0\0\xff\xfe", "not a text table"),
        (b"\xff\xfea", "UTF-16"),
        (b"model\n", "no row"),
    ],
)
def test_what_is_no_plan_is_told_in_words(tmp_path: Path, resources: PlanResources, text: bytes, words: str) -> None:
    assert words in " ".join(m["what"] for m in mistakes(written(tmp_path, text), resources))


@pytest.mark.parametrize("account", ["default", ""])
def test_an_account_whose_tokens_are_damaged_is_a_mistake_and_not_unknown(
    tmp_path: Path, resources: PlanResources, account: str
) -> None:
    error = InstallerError(ErrorCode.SECRET_UNAVAILABLE, "The file default.json is empty.", "Sign in again.")
    damaged = replace(resources, accounts=["default", "ward-3"], damaged_accounts={"default": error})
    text = table([("model", "network", "account"), ("body", "clinic", account), ("body", "clinic", "ward-3")], ",")
    [mistake] = mistakes(written(tmp_path, text), damaged)
    assert (mistake["what"], mistake["todo"]) == ("The file default.json is empty.", "Sign in again.")
    assert mistake["line"] == 2


def test_what_a_row_is_known_by_does_not_depend_on_its_place(tmp_path: Path, resources: PlanResources) -> None:
    head = "device,model,count,sync,network,account,site\n"
    one, two = ",body-plus,2,wifi,clinic,ward-3,Berlin\n", "00:24:E4:12:34:56,,,wifi,clinic,ward-3,Berlin\n"
    first = read(written(tmp_path, head + one + two), resources)
    later = read(written(tmp_path, head + two + "\n,move,1,,,ward-3,Bonn\n" + one.replace(",2,", ",3,")), resources)
    assert {u.key for u in first.units} < {u.key for u in later.units}
    assert len({u.key for u in later.units}) == 5


def test_the_schema_of_a_plan_is_printed() -> None:
    properties = PlanFile.model_json_schema()["$defs"]["Row"]["properties"]
    assert {"device", "model", "count", "sync", "network", "ssid", "account", "site", "label", "proof", "notes"} <= set(
        properties
    )


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_a_traceback(raw: bytes) -> None:
    spreadsheet.read(raw)


@settings(max_examples=40)
@given(st.text(max_size=300))
def test_any_text_is_a_plan_or_mistakes(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name in ("p.csv", "p.toml"):
            path = Path(folder) / name
            path.write_bytes(("model,count,device\n" + text).encode("utf-8", "surrogatepass"))
            with_known = PlanResources(CATALOGUE, {}, None)
            try:
                plan_check.check(plan_reader.read(path), with_known)
            except InstallerError as error:
                assert error.code is ErrorCode.PLAN_INVALID  # noqa: PT017


@pytest.mark.parametrize("ssid", ["Cli\nnic", "Cli\tnic", "Clinic\x07", "Cli\u2028nic"])
def test_a_line_break_in_the_name_of_a_network_is_a_mistake_with_its_place(
    tmp_path: Path, resources: PlanResources, ssid: str
) -> None:
    text = f'model,ssid,sync,account\nBody,Clinic,wifi,later\nBody,"{ssid}",wifi,later\n'
    (found,) = mistakes(written(tmp_path, text), resources)
    assert (found["line"], found["column"], found["name"]) == (3, 2, "ssid")
    assert "holds a" in found["what"]
    toml = f'version = 1\n[[row]]\nmodel = "Body"\nsync = "wifi"\naccount = "later"\nssid = {json.dumps(ssid)}\n'
    (found,) = mistakes(written(tmp_path, toml, "plan.toml"), resources)
    assert (found["line"], found["name"]) == (6, "ssid")


def test_the_column_exact_and_a_saved_network_of_nearly_this_name(tmp_path: Path, resources: PlanResources) -> None:
    text = "model,sync,ssid,exact,account\nBody,wifi,Clinic,yes,later\nBody,wifi,Clinic,,later\n"
    first, second = [unit.network for unit in read(written(tmp_path, text), resources).units]
    assert first is not None
    assert second is not None
    assert (first.exact, second.exact) == (True, False)
    (found,) = mistakes(written(tmp_path, "model,sync,ssid,account\nBody,wifi,clinic,later\n"), resources)
    assert "Did you mean “Clinic”?" in found["todo"]
    (found,) = mistakes(written(tmp_path, "model,sync,ssid,exact,account\nBody,wifi,Clinic,perhaps,later\n"), resources)
    assert found["name"] == "exact"
