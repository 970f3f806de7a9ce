"""Records: one JSON file per installation, rewritten whole after every step.

A file is replaced atomically, so that a killed installer leaves the last complete state.
No passphrase and no token is ever handed to this module.
"""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from installer.errors import ErrorCode, InstallerError


class Records:
    """The records in one folder, which is made when the first one is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, installation: str, version: str) -> Record:
        """A new record; nothing is written before its first change."""
        return Record(
            self.folder / f"{installation}.json",
            {"id": installation, "version": version, "started": _now(), "steps": [], "outcome": "running"},
        )

    def all(self) -> list[dict[str, Any]]:
        """All readable records, oldest first. A file that is no record is passed over."""
        found = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                data = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(data, dict) and isinstance(data.get("steps"), list):
                found.append(data)
        return sorted(found, key=lambda r: str(r.get("started", "")))

    def handed_over(self, address: str) -> str | None:
        """The cloud's id of the device, if a guided hand-off of this program saw it come to an account; or None."""
        device_id: str | None = None
        for record in self.all():
            for step in record["steps"]:
                result = step.get("result") if isinstance(step, dict) else None
                if isinstance(result, dict) and result.get("protocol") == "guided" and "device_id" in result:
                    device_id = str(result["device_id"]) if result.get("address") == address else device_id
        return device_id

    def since(self, address: str) -> float | None:
        """When the installation began that last sent credentials to the device, seconds since 1970; or None."""
        began: float | None = None
        for record in self.all():
            sent = record.get("sent")
            if isinstance(sent, dict) and sent.get("address") == address:
                try:
                    began = datetime.fromisoformat(str(record.get("started"))).timestamp()
                except ValueError:
                    continue
        return began

    def provisioned(self, address: str) -> str | None:
        """The SSID whose credentials this program last sent to the device, or None."""
        ssid: str | None = None
        for record in self.all():
            sent = record.get("sent")
            if isinstance(sent, dict) and sent.get("address") == address:
                ssid = str(sent.get("ssid", ""))
        return ssid


class Record:
    """One record, kept in a file."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data

    def step_done(self, step: str, took: float, result: dict[str, Any]) -> None:
        """Keep the result of a step; a repeated step replaces its older result."""
        steps = [s for s in self.data["steps"] if s["step"] != step]
        steps.append({"step": step, "done": _now(), "took": round(took, 3), "result": result})
        self.data["steps"] = steps
        self._save()

    def sending(self, address: str, ssid: str) -> None:
        """Keep that credentials are about to leave: from here on the device may be on Wi-Fi because of this run."""
        self.data["sent"] = {"address": address, "ssid": ssid}
        self._save()

    def failed(self, step: str | None, code: str, what: str) -> None:
        """Keep a failure, also of a step that is tried again."""
        self.data.setdefault("failures", []).append({"step": step, "code": code, "what": what, "time": _now()})
        self._save()

    def end(self, outcome: str) -> None:
        """Keep how it ended."""
        self.data["outcome"] = outcome
        self.data["ended"] = _now()
        self._save()

    def _save(self) -> None:
        text = json.dumps(self.data, ensure_ascii=False, indent=1)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".record-")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except OSError as error:
            raise InstallerError(
                ErrorCode.FILE_UNWRITABLE,
                f"The record of this installation cannot be written to {self.path.parent}: {error.strerror}.",
                "Free some space or give the folder another place with DEVICE_INSTALLER_HOME.",
            ) from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
