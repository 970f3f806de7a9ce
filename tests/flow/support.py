"""Runs whole installations against a lab, with a front end that records what it was shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from installer.answers import Answers, validate
from installer.events.json_lines import Event
from installer.flow import lab_process
from installer.flow.front_end import Failure, Recovery
from installer.flow.installation import Installation
from installer.flow.outcome import Outcome
from installer.flow.questions import ConfirmAccount, OfferNotifications, Question
from installer.flow.run_options import Deadlines, Options, RunConfig
from installer.flow.run_resources import RunResources, lab_state_file
from installer.storage.reference_origin import COMMAND_LINE
from tests.installer.lab.lab_process import control

PROOF = "abcd1234"
PASSPHRASE = "correct horse battery staple"

# A lab with one device that ends its set-up when it has joined, without reporting the join.
SILENT = """
version = 1
name = "silent"
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
join = 0.05
first_measurement_after = 0.05
[[network]]
ssid = "Home"
security = "wpa2"
passphrase = "correct horse battery staple"
[[device]]
model = "{model}"
{device}
espressif = {{ security = 1, proof = "", stops = 1 }}
[device.faults]
drop = {{ on = "joining" }}
"""

OURS = 'address = "00:24:E4:20:00:3C"\nname = "Body+ 3C"'
FAST = Deadlines(find=10.0, second_device=0.6, connect=10.0, sign_in=10.0, link=15.0, data=15.0, measurement=10.0)

MODELS = ("body", "body-plus", "bpm-connect", "sleep", "thermo", "move", "pulse-hr")
METHODS = {
    "body": ("wifi", "bluetooth"),
    "body-plus": ("wifi", "bluetooth"),
    "bpm-connect": ("wifi", "bluetooth"),
    "thermo": ("wifi", "bluetooth"),
    "sleep": ("wifi",),
    "move": ("bluetooth",),
    "pulse-hr": ("bluetooth",),
}

E = TypeVar("E", bound=Event)  # type: ignore[valid-type]


@dataclass
class Front:
    """Records events; answers questions by their type; takes recoveries from a list."""

    answers: dict[type[Question], Any] = field(default_factory=dict)
    recoveries: list[Recovery] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    on_event: Callable[[Event], None] | None = None

    def show(self, event: Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    async def ask(self, question: Question) -> Any:
        if isinstance(question, OfferNotifications) and OfferNotifications not in self.answers:
            return False  # the usual answer; only some tests are about this question
        if isinstance(question, ConfirmAccount) and ConfirmAccount not in self.answers:
            return True
        self.asked.append(question)
        answer = self.answers[type(question)]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(question)
        if isinstance(answer, BaseException):
            raise answer
        if hasattr(answer, "__await__"):
            return await answer
        return answer

    async def recover(self, failure: Failure) -> Recovery:
        self.failures.append(failure)
        return self.recoveries.pop(0)

    def of(self, kind: type[E]) -> list[E]:
        return [e for e in self.events if isinstance(e, kind)]

    def text(self) -> str:
        return "\n".join(e.model_dump_json() for e in self.events)


class LabWorld:
    """A running lab as tests see it: its addresses, its devices, its switches."""

    def __init__(self, state: lab_process.LabState) -> None:
        self.state = state

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.state.token.get_secret_value()}"}
        answer = control().request(method, self.state.http + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def device(self, model: str) -> dict[str, Any]:
        return next(d for d in self.call("GET", "/lab/state")["devices"] if d["model"] == model)

    def address(self, model: str) -> str:
        return str(self.device(model)["address"])

    def faults(self, model: str, faults: dict[str, Any]) -> None:
        self.call("POST", f"/lab/devices/{self.address(model)}/faults", {"faults": faults})

    def act(self, model: str, action: str) -> None:
        self.call("POST", f"/lab/devices/{self.address(model)}/{action}")

    def cloud(self, **switches: Any) -> None:
        self.call("POST", "/lab/cloud", switches)


def use(world: LabWorld, state_file: Path) -> None:
    """Make this lab the one that `--lab` finds (DEVICE_INSTALLER_HOME is the test's own folder)."""
    target = lab_state_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(state_file.read_text("utf-8"), "utf-8")


def answers_for(world: LabWorld, model: str, method: str | None, **more: Any) -> Answers:
    """The answers of a whole installation of this model; the passphrase is in an environment variable."""
    data: dict[str, Any] = {"find": {"device": world.address(model)}}
    if model == "bpm-connect":  # it speaks Espressif provisioning with a proof of possession
        data["find"]["proof"] = {"env": "TEST_PROOF"}
    if method:
        data["sync"] = {"method": method}
    if method == "wifi":
        data["network"] = {"ssid": "Home", "passphrase": {"env": "TEST_PASSPHRASE"}}
    return validate({**data, **more}, "test", COMMAND_LINE)


async def install(
    answers: Answers, front: Front | None = None, catalogues: Sequence[Path] = (), **options: Any
) -> tuple[Outcome, Front]:
    """Run one installation in the lab; asks nobody unless `non_interactive=False`."""
    front = front or Front()
    settings = {"non_interactive": True, "deadlines": FAST, **options}
    resources = RunResources(RunConfig(lab=True, catalogues=catalogues, options=Options(**settings)))
    try:
        await resources.lab()
        return await Installation(resources.environment(), front, answers).run(), front
    finally:
        await resources.close()


def lines(text: str) -> list[dict[str, Any]]:
    """The events of a `--json` run."""
    return [json.loads(line) for line in text.splitlines()]
