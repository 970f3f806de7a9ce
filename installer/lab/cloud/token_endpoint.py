"""The token endpoint and the nonces: `/v2/oauth2` and `/v2/signature` (`withings-cloud.md` §1.3-§1.7)."""

from __future__ import annotations

from typing import Any

from installer.lab.cloud.requests_and_responses import TOO_MANY, ApiError, Call, Handler, invalid_params
from installer.lab.cloud.resettable_state import DEMO_USERID
from installer.lab.cloud.tokens import Grant, Tokens, secrets_equal, sign

SCOPES: dict[str, str] = {
    "user.info": "Your profile, and the devices on your account",
    "user.metrics": "Your measurements, such as weight, blood pressure and temperature",
    "user.activity": "Your activity and your sleep",
    "user.sleepevents": "When you get into bed and out of it",
}
MAX_TIMESTAMP_ERROR_SECONDS = 600


def parse_scopes(text: str) -> tuple[str, ...]:
    """The scopes of a comma-separated list, each once. Raises ValueError if it is empty or one is unknown."""
    scopes = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError("unknown or no scope")
    return scopes


async def request_token(call: Call) -> dict[str, Any]:
    """Both grant types. The same request within ten seconds gets status 601 and `wait_seconds`."""
    tokens = call.store.tokens
    wait = tokens.seconds_until_repeat_allowed(call.params)
    if wait is not None:
        raise ApiError(TOO_MANY, "Same arguments in less than 10 seconds", {"wait_seconds": wait})
    client_id = call.authenticate_client()
    grant_type = call.required("grant_type")
    if grant_type == "authorization_code":
        grant = tokens.redeem(call.required("code"), client_id, call.required("redirect_uri"))
        if grant is None:
            raise invalid_params("invalid code")
        return _body(tokens.issue(grant))
    if grant_type == "refresh_token":
        pair = tokens.rotate(call.required("refresh_token"), client_id)
        if pair is None:
            raise invalid_params("invalid refresh_token")
        return _body(pair)
    raise invalid_params("invalid grant_type")


async def demo_access(call: Call) -> dict[str, Any]:
    """Tokens of the demo user, without a browser (signed request)."""
    call.check_signature()
    try:
        scopes = parse_scopes(call.required("scope_oauth2"))
    except ValueError:
        raise invalid_params("invalid scope_oauth2") from None
    pair = call.store.tokens.issue(Grant(DEMO_USERID, call.store.scenario.client_id, scopes))
    return {"access_token": pair.access, "refresh_token": pair.refresh, "expires_in": pair.seconds}


async def revoke(call: Call) -> dict[str, Any]:
    """Delete all tokens and subscriptions of a user (signed request)."""
    call.check_signature()
    userid = call.required("userid")
    if call.store.account(userid) is None:
        raise invalid_params("invalid userid")
    call.store.tokens.revoke(userid, call.store.scenario.client_id)
    call.store.subscriptions[:] = [s for s in call.store.subscriptions if s.userid != userid]
    return {}


async def get_nonce(call: Call) -> dict[str, Any]:
    """A nonce, for a signature over action, client id and a current timestamp."""
    scenario = call.store.scenario
    client_id, timestamp = call.required("client_id"), call.integer("timestamp")
    if not secrets_equal(client_id, scenario.client_id):
        raise invalid_params("invalid client id/secret")
    if timestamp is None or abs(call.store.clock() - timestamp) > MAX_TIMESTAMP_ERROR_SECONDS:
        raise invalid_params("invalid timestamp")
    values = {"action": call.required("action"), "client_id": client_id, "timestamp": call.params["timestamp"]}
    if not secrets_equal(call.required("signature"), sign(scenario.client_secret.get_secret_value(), values)):
        raise invalid_params("invalid signature")
    return {"nonce": call.store.tokens.issue_nonce()}


def _body(pair: Tokens) -> dict[str, Any]:
    return {
        "userid": pair.grant.userid,
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "expires_in": pair.seconds,
        "scope": ",".join(pair.grant.scopes),
        "csrf_token": pair.csrf,
        "token_type": "Bearer",
    }


TOKEN_ACTIONS: dict[str, Handler] = {
    "requesttoken": request_token,
    "getdemoaccess": demo_access,
    "revoke": revoke,
}
SIGNATURE_ACTIONS: dict[str, Handler] = {"getnonce": get_nonce}
