"""Labels for installed devices: text, and a QR code for linking the device later.

The code contains what `device-installer link` needs on another computer: the id of the record, the address, model and
sync method of the device, and when it was set up. It contains no secret and nothing about the network.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

SCHEME = "device-installer"
LABELS_PER_PAGE = 24
_ADDRESS = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_ID = re.compile(r"[0-9A-Za-z_-]{4,64}")


@dataclass(frozen=True)
class Label:
    """A label. `id`: of the record; `since`: when it was set up, in seconds since 1970; `open`: still to be linked."""

    id: str
    address: str
    model: str
    method: SyncMethod | None = None
    since: int = 0
    name: str = ""
    site: str = ""
    label: str = ""
    open: bool = False

    @property
    def code(self) -> str:
        """The text of its QR code: `device-installer:link/ID?a=ADDRESS&m=MODEL&s=METHOD&t=TIME`."""
        short = self.address.replace(":", "") if len(self.address) == 17 else self.address
        facts = {"a": short, "m": self.model}
        facts |= {"s": self.method.value} if self.method is not None else {}
        facts |= {"t": str(self.since)} if self.since else {}
        return f"{SCHEME}:link/{quote(self.id)}?{urlencode(facts)}"

    @property
    def lines(self) -> list[str]:
        """The printed text."""
        title = self.label or self.name or self.model
        facts = [printable(title, 40), f"{printable(self.name or self.model, 30)}  {printable(self.address, 40)}"]
        facts += [printable(self.site, 40)] if self.site else []
        facts.append(f"no. {printable(self.id, 64)}")
        facts.append("to be linked: device-installer link" if self.open else "installed")
        return facts


def is_code(text: str) -> bool:
    """Whether this looks like the code of a label."""
    return text.strip().lower().startswith(f"{SCHEME}:link/")


def parse(text: str) -> Label:
    """The label of this code. Raises LABEL_UNKNOWN."""
    try:
        parts = urlsplit(text.strip())
        facts = {key: values[0] for key, values in parse_qs(parts.query, max_num_fields=20).items()}
    except ValueError:  # not a URL, or too many fields
        raise label_unknown("This is not the code of a label.") from None
    address = facts.get("a", "").upper()
    if re.fullmatch(r"[0-9A-F]{12}", address):
        address = ":".join(address[i : i + 2] for i in range(0, 12, 2))
    record = parts.path.removeprefix("link/")
    method = facts.get("s")
    since = facts.get("t", "0")
    is_valid = (
        is_code(text)
        and _ID.fullmatch(record)
        and _ADDRESS.fullmatch(address)
        and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", facts.get("m", ""))
        and method in (None, *SyncMethod)
        and re.fullmatch(r"\d{1,12}", since)
    )
    if not is_valid:
        raise label_unknown("This is not the code of a label.")
    return Label(
        id=record,
        address=address,
        model=facts["m"],
        method=SyncMethod(method) if method else None,
        since=int(since),
        open=True,
    )


def check_same_device(label: Label, record: Mapping[str, Any]) -> None:
    """Raise REFERENCE_REFUSED if the record of the label is about another device: the label is on the right one."""
    address = str(record.get("address") or "")
    if not address or address.upper() == label.address:
        return
    raise InstallerError(
        ErrorCode.REFERENCE_REFUSED,
        f"The label is that of the device {label.address}, but the record {label.id} in the ledger names "
        f"{printable(address, 64)}. Nothing was linked.",
        "Ask who changed the ledger. To link the device of the label, use another ledger: --ledger FILE.",
        installation=label.id,
        address=label.address,
    )


def label_unknown(what: str) -> InstallerError:
    """The error LABEL_UNKNOWN."""
    return InstallerError(
        ErrorCode.LABEL_UNKNOWN,
        what,
        "Give the id of a record of this computer, or the full text of a label's code in quotes, or a picture of the "
        "code with --qr-image.",
    )


def as_text(labels: Iterable[Label]) -> str:
    """All labels as plain text, for printers: each with its QR code in characters, and the text of the code.

    A file has no colours, so the code is right in black on paper, and a negative on a dark screen.
    """
    from installer.qr.draw import qr_lines

    blocks = []
    for label in labels:
        blocks.append("\n".join([*label.lines, *(qr_lines(label.code, 80, 60) or []), label.code]))
    return ("\n" + "-" * 40 + "\n").join(blocks) + "\n"


def as_html(labels: Sequence[Label], title: str = "Labels") -> str:
    """All labels as HTML for A4 paper, three in a line. It loads no external files."""
    cells = []
    for label in labels:
        first, *rest = (html.escape(line) for line in label.lines)
        words = "".join(f"<p>{line}</p>" for line in rest)
        cells.append(f'<div class="label">{_svg(label.code)}<div><h2>{first}</h2>{words}</div></div>')
    pages = [cells[i : i + LABELS_PER_PAGE] for i in range(0, len(cells), LABELS_PER_PAGE)]
    body = "\n".join(f"<section>{''.join(page)}</section>" for page in pages)
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    return _PAGE.format(title=html.escape(title), body=body, made=made)


def write(labels: Sequence[Label], path: Path, title: str = "Labels") -> None:
    """Write the sheet as HTML or text, depending on the file's ending. Raises USAGE, FILE_UNWRITABLE."""
    from installer.storage.atomic_write import write_text_atomically

    check_file(path)
    write_text_atomically(path, [as_text(labels) if path.suffix.lower() == ".txt" else as_html(labels, title)])


def check_file(path: Path) -> None:
    """Raise USAGE for an ending that is not supported, FILE_UNWRITABLE if the folder does not exist."""
    kind = path.suffix.lower()
    if kind not in (".html", ".htm", ".txt"):
        raise InstallerError(
            ErrorCode.USAGE,
            f"Labels are written as .html or .txt, not as “{kind or path.name}”.",
            "Give a file with such an ending.",
        )
    if not path.absolute().parent.is_dir():
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{path} cannot be written: its folder does not exist.",
            "Create it, or give another one.",
        )


def _svg(text: str) -> str:
    """The QR code as inline SVG: black on white, with its quiet zone."""
    import qrcode
    import qrcode.image.svg

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data(text)
    code.make(fit=True)
    image = code.make_image(image_factory=qrcode.image.svg.SvgPathImage)
    stream = io.BytesIO()
    image.save(stream)
    return stream.getvalue().decode("utf-8").partition("?>")[2].strip()


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
@page {{ size: A4; margin: 8mm; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; font: 8pt/1.25 system-ui, sans-serif; color: #000; background: #fff; }}
section {{ display: grid; grid-template-columns: repeat(3, 1fr); grid-auto-rows: 34.5mm; break-after: page; }}
section:last-of-type {{ break-after: auto; }}
.label {{ display: flex; gap: 1mm; align-items: center; padding: 1.5mm; border: .2mm dashed #bbb; overflow: hidden; }}
.label svg {{ width: 29mm; height: 29mm; flex: none; }}
.label div {{ min-width: 0; }}
h2 {{ font-size: 9pt; margin: 0 0 .8mm; overflow-wrap: anywhere; }}
p {{ margin: 0; overflow-wrap: anywhere; }}
footer {{ padding: 2mm; color: #555; }}
@media print {{ footer {{ display: none; }} }}
</style>
</head>
<body>
{body}
<footer>{title}, created {made}. Each code contains the number of the record, and the address and model of a device, but
no passphrase and no account.</footer>
</body>
</html>
"""
