"""Signatures of requests to the cloud (`withings-cloud.md` §1.6): pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from pydantic import SecretStr

# Only these fields are signed; the rest of a request is not.
_SIGNED = ("action", "client_id", "nonce", "timestamp")


def sign(secret: SecretStr, fields: Mapping[str, str]) -> str:
    """The signature in hexadecimal: HMAC-SHA256 over the signed fields' values, in the order of their names.

    `fields` has `action`, `client_id`, and `timestamp` (for `getnonce`) or `nonce` (for everything else).
    """
    message = ",".join(fields[name] for name in sorted(_SIGNED) if name in fields)
    key = secret.get_secret_value().encode("utf-8")
    return hmac.new(key, message.encode("utf-8"), hashlib.sha256).hexdigest()
