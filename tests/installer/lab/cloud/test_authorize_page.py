"""The sign-in page: what it checks, what it shows, and where it sends the browser."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.installer.lab.cloud.running_cloud import ALL, BACK, Page, World, running


async def test_the_page_is_a_form_that_a_person_and_a_screen_reader_can_use(world: World) -> None:
    answer = await world.authorize()
    page = Page(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert page.method == "post"
    assert set(page.fields) == {"csrf", "email", "password"}
    assert page.fields["password"]["type"] == "password"
    assert page.labels == {page.fields["email"]["id"], page.fields["password"]["id"]}
    assert set(page.buttons) == {"allow", "cancel"}
    assert "width=device-width" in page.meta["viewport"]
    assert "not the vendor" in page.text
    assert "Practice cloud" in page.text
    assert "devices on your account" in page.text
    assert "weight, blood pressure" in page.text
    assert "get into bed" not in page.text


async def test_the_page_needs_nothing_from_elsewhere_and_is_kept_nowhere(world: World) -> None:
    answer = await world.authorize()
    page = Page(answer.text)
    assert page.outside == []
    assert "script" not in page.tags
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "httponly" in answer.headers["set-cookie"].lower()
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    assert f'<style nonce="{nonce[1]}">' in answer.text


async def test_allow_sends_back_a_code_and_the_state_unchanged(world: World) -> None:
    answer = await world.press(Page((await world.authorize(state="a b&c=ü")).text))
    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"].startswith(BACK + "?")
    params = httpx.URL(answer.headers["location"]).params
    assert params["state"] == "a b&c=ü"
    assert params["code"]
    assert set(params) == {"code", "state"}


async def test_cancel_sends_back_access_denied_without_a_password(world: World) -> None:
    page = Page((await world.authorize()).text)
    assert "formnovalidate" in page.buttons["cancel"]
    answer = await world.press(page, "cancel", email="", password="")
    params = httpx.URL(answer.headers["location"]).params
    assert dict(params) == {"error": "access_denied", "state": "st&te=1"}


async def test_the_redirect_keeps_the_query_that_was_registered(world: World) -> None:
    answer = await world.press(Page((await world.authorize(redirect_uri="http://127.0.0.1:5000/x?a=1&b=")).text))
    location = httpx.URL(answer.headers["location"])
    assert (location.host, location.port, location.path) == ("127.0.0.1", 5000, "/x")
    assert (location.params["a"], location.params["b"]) == ("1", "")
    assert location.params["code"]


@pytest.mark.parametrize(
    ("email", "password"),
    [("alex@example.org", "wrong"), ("alex@example.org", ""), ("nobody@example.org", "lab-password"), ("", "")],
)
async def test_a_wrong_password_brings_the_page_again_and_says_so(world: World, email: str, password: str) -> None:
    answer = await world.press(Page((await world.authorize()).text), email=email, password=password)
    page = Page(answer.text)
    assert answer.status_code == 200
    assert page.alerts == ["The email or the password is wrong. Try again."]
    assert page.fields["email"]["value"] == email
    assert "value" not in page.fields["password"]
    again = await world.press(page)
    assert again.status_code == 302


async def test_what_was_typed_is_escaped(world: World) -> None:
    nasty = '"><script>alert(1)</script>'
    answer = await world.press(Page((await world.authorize()).text), email=nasty)
    page = Page(answer.text)
    assert page.fields["email"]["value"] == nasty
    assert "script" not in page.tags


async def test_the_email_may_be_typed_in_any_case(world: World) -> None:
    answer = await world.press(Page((await world.authorize()).text), email=" ALEX@example.org ")
    assert answer.status_code == 302


async def test_a_form_without_a_button_pressed_says_what_to_press(world: World) -> None:
    page = Page((await world.authorize()).text)
    data = {name: field.get("value") or "" for name, field in page.fields.items()}
    answer = await world.http.post(page.action, data=data)
    assert answer.status_code == 200
    assert Page(answer.text).alerts == ["Press Allow or Cancel."]


async def test_a_form_works_once_and_in_its_own_browser_only(world: World) -> None:
    page = Page((await world.authorize()).text)
    async with httpx.AsyncClient(base_url=world.http.base_url) as stranger:
        data = {"csrf": page.fields["csrf"]["value"], "email": "alex@example.org", "password": "lab-password"}
        stolen = await stranger.post(page.action, data={**data, "decision": "allow"})
    assert stolen.status_code == 403
    forged = await world.press(page, csrf="guess")
    assert forged.status_code == 403
    assert (await world.press(page)).status_code == 302
    assert (await world.press(page)).status_code == 403


async def test_a_cookie_that_the_cloud_did_not_make_is_replaced(world: World) -> None:
    params = {"response_type": "code", "client_id": "lab-client", "scope": ALL, "redirect_uri": BACK, "state": "1"}
    answer = await world.http.get("/oauth2_user/authorize2", params=params, headers={"Cookie": "lab_cloud=mine"})
    assert answer.cookies["lab_cloud"] != "mine"
    assert (await world.press(Page(answer.text))).status_code == 302


async def test_two_pages_in_one_browser_do_not_disturb_each_other(world: World) -> None:
    first, second = Page((await world.authorize(state="1")).text), Page((await world.authorize(state="2")).text)
    states = [httpx.URL((await world.press(p)).headers["location"]).params["state"] for p in (first, second)]
    assert states == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_type", None),
        ("response_type", "token"),
        ("client_id", None),
        ("client_id", "somebody-else"),
        ("scope", None),
        ("scope", ","),
        ("scope", "user.info,user.everything"),
        ("scope", "user.info user.metrics"),
        ("redirect_uri", None),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://localhost.evil.example/"),
        ("redirect_uri", "http://localhost@evil.example/"),
        ("redirect_uri", "http://localhost:8765/callback#fragment"),
        ("redirect_uri", "http://localhost:99999/"),
        ("redirect_uri", "javascript:alert(1)"),
        ("state", None),
        ("state", ""),
        ("mode", "live"),
    ],
)
async def test_a_wrong_parameter_is_told_on_a_page_and_never_redirected(
    world: World, name: str, value: str | None
) -> None:
    answer = await world.authorize(**{name: value})
    assert answer.status_code == 400
    page = Page(answer.text)
    assert name in " ".join(page.alerts)
    assert not page.fields


async def test_a_registered_prefix_covers_the_paths_below_it_and_nothing_else() -> None:
    async with running({"redirect_uris": ["https://clinic.example/setup/"]}) as world:
        for good in ("https://clinic.example/setup/", "https://clinic.example/setup/done?x=1"):
            assert (await world.authorize(redirect_uri=good)).status_code == 200
        for bad in ("https://clinic.example/", "https://clinic.example.evil/setup/", "http://clinic.example/setup/"):
            assert (await world.authorize(redirect_uri=bad)).status_code == 400


async def test_strict_applies_the_rules_of_the_real_cloud() -> None:
    uris = ["https://clinic.example/", "http://localhost/", "https://10.0.0.1/", "https://odd.example:8443/"]
    async with running({"strict": True, "redirect_uris": uris}) as world:
        assert (await world.authorize(redirect_uri="https://clinic.example/back")).status_code == 200
        for bad in (BACK, "http://localhost/", "https://10.0.0.1/", "https://odd.example:8443/"):
            assert (await world.authorize(redirect_uri=bad)).status_code == 400
        long = "https://clinic.example/" + "a" * 255
        assert (await world.authorize(redirect_uri=long)).status_code == 400


async def test_the_demo_user_needs_no_password(world: World) -> None:
    page = Page((await world.authorize(mode="demo")).text)
    assert set(page.fields) == {"csrf"}
    assert "demo user" in page.text
    tokens = await world.tokens(mode="demo")
    assert [device["model"] for device in await world.devices(tokens["access_token"])] == ["Body+"]
    measures = await world.call("/measure", "getmeas", tokens["access_token"], meastype="1")
    assert len([g for g in measures["body"]["measuregrps"] if g["hash_deviceid"]]) == 5


async def test_nobody_signs_in_as_the_demo_user_with_a_password(world: World) -> None:
    page = Page((await world.authorize()).text)
    answer = await world.press(page, email="demo@example.org", password="")
    assert Page(answer.text).alerts


async def test_a_page_that_waited_too_long_is_refused(world: World) -> None:
    page = Page((await world.authorize()).text)
    await world.control(clock=3601)
    answer = await world.press(page)
    assert answer.status_code == 403
    assert "Start again" in Page(answer.text).text


async def test_the_front_page_says_what_this_is(world: World) -> None:
    page = Page((await world.http.get("/")).text)
    assert "not the vendor" in page.text
    assert "contract" in page.text
