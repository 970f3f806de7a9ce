"""Signatures: the vectors of the facts sheet."""

from __future__ import annotations

from pydantic import SecretStr

from installer.cloud.request_signature import sign

SECRET = SecretStr("demo-secret")


def test_a_nonce_is_asked_for_with_action_client_and_timestamp() -> None:
    fields = {"timestamp": "1700000000", "client_id": "demo-client", "action": "getnonce"}
    assert sign(SECRET, fields) == "ed8bb390250b1ffe0821b7135946072cd741845e044f87a0238d2d3100571b10"


def test_everything_else_is_signed_with_the_nonce_and_other_fields_do_not_count() -> None:
    fields = {"nonce": "demo-nonce", "client_id": "demo-client", "action": "requesttoken", "code": "any"}
    assert sign(SECRET, fields) == "5d847f2dcfb54a3ff7fd0a19b22bf26a45a29aa686d813a4b39b652a28f617ec"
