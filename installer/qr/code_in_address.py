"""Takes the code out of a web address: pages that draw QR codes have it behind `data=`. Pure.

Espressif's example firmware prints such an address beside the code (`…/qrcode.html?data=%7B%22ver%22…`), Matter's too.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_DATA = re.compile(r"[?&#]data=")
_CODE = re.compile(r"\{|WIFI:|MT:|DPP:", re.IGNORECASE)
_ENDS = ("}", ";")


def code_in_address(text: str) -> str | None:
    """The code behind `data=` in a web address, decoded; None if there is none. A plus stays a plus."""
    found = _DATA.search(text) if host_of(text) is not None else None
    if found is None:
        return None
    whole = text[found.end() :]
    # A person may have copied an address whose & and # are not encoded; then the code goes on after them.
    readings = [unquote(re.split("[&#]", whole, maxsplit=1)[0]), unquote(whole)]
    code = next((reading for reading in readings if reading.endswith(_ENDS)), readings[0])
    return code if _CODE.match(code) else None


def host_of(text: str) -> str | None:
    """The host of a web address, in lower case; None for other texts."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return None
    return host.lower().rstrip(".") if parts.scheme.lower() in ("http", "https") and host else None
