"""The cloud's part of a scenario: defaults, and the mistakes that it finds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from installer.lab.cloud.scenario import CloudScenario
from installer.lab.cloud.url_rules import is_loopback, is_public_https, is_registered


def test_the_default_is_one_user_and_a_partner_with_a_contract() -> None:
    scenario = CloudScenario()
    assert scenario.mode == "contract"
    assert (scenario.client_id, scenario.client_secret.get_secret_value()) == ("lab-client", "lab-secret")
    user = scenario.users[0]
    assert (user.email, user.password.get_secret_value()) == ("alex@example.org", "lab-password")
    assert (scenario.rate_limit, scenario.code_seconds, scenario.access_seconds) == (120, 30, 10_800)


USER = {"email": "alex@example.org", "password": "x"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"users": []}, "users"),
        ({"users": [USER, {**USER, "email": "ALEX@example.org"}]}, "same email"),
        (
            {"users": [{**USER, "devices": ["aa"]}, {"email": "b@c", "password": "x", "devices": ["AA"]}]},
            "two accounts",
        ),
        ({"users": [{**USER, "timezone": "Europe/Atlantis"}]}, "time zone"),
        ({"users": [{**USER, "timezone": "../../etc/passwd"}]}, "time zone"),
        ({"users": [{**USER, "weight": 0}]}, "weight"),
        ({"mode": "both"}, "mode"),
        ({"ratelimit": 5}, "ratelimit"),
        ({"code_seconds": 0}, "code_seconds"),
        ({"fail": [{"path": "/x"}]}, "give one of"),
    ],
)
def test_mistakes(data: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CloudScenario.model_validate(data)


@pytest.mark.parametrize(
    ("url", "here", "outside"),
    [
        ("http://localhost", True, False),
        ("http://127.0.0.1:5000/callback", True, False),
        ("http://[::1]:5000/", True, False),
        ("https://localhost/", False, False),
        ("http://127.0.0.2/", False, False),
        ("http://localhost:port/", False, False),
        ("http://[::1/", False, False),
        ("https://example.org", False, True),
        ("https://example.org:80/x?y=1", False, True),
        ("https://example.org:8443/", False, False),
        ("https://8.8.8.8/", False, False),
        ("https://[2001:db8::1]/", False, False),
        ("https://me@example.org/", False, False),
        ("https://example.org/#x", False, False),
        ("https://exa mple.org/", False, False),
        ("https://example.org/\r\nX: y", False, False),
        ("//example.org/", False, False),
        ("", False, False),
    ],
)
def test_addresses(url: str, here: bool, outside: bool) -> None:
    assert (is_loopback(url), is_public_https(url)) == (here, outside)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://mydomain.example/relative_path?args=value", True),
        ("https://mydomain.example", True),
        ("https://MYDOMAIN.example:443/", True),
        ("https://mydomain.example:444/", False),
        ("https://mydomain.example.evil/", False),
        ("https://app.example/a/b", True),
        ("https://app.example/ab", False),
        ("https://app.example/", False),
    ],
)
def test_registered_prefixes(url: str, known: bool) -> None:
    assert is_registered(url, ["https://mydomain.example/", "https://app.example/a"]) is known
