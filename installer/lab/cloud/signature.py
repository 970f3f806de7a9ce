"""The signature that may take the place of the client secret (`withings-cloud.md` §1.6)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


def sign(secret: str, values: Mapping[str, str]) -> str:
    """Hexadecimal HMAC-SHA256 over the values, joined by commas in the alphabetical order of their names."""
    message = ",".join(values[name] for name in sorted(values))
    return hmac.new(secret.encode(), message.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
