"""A scripted engine: asks the wizard's questions in order with invented data, and sends events. No radio, no cloud.

The screens only render, so their tests need no real engine; that is tested end to end with the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from installer.answers import Answers, FindAnswer, LinkAnswer, StepKey, SyncAnswer
from installer.bluetooth.sighting import Advert, Certainty, Detection, SetupState, Sighting
from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import CloudIds, DataService, DeviceType, Model, Profile, SyncMethod
from installer.cloud.token_store import ListedAccount
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import (
    DeviceConnected,
    DeviceFound,
    FirstMeasurement,
    InstallationDone,
    InstallationStarted,
    Linked,
    Linking,
    NetworkChosen,
    Notice,
    Provisioning,
    SignedIn,
    SignInNeeded,
    StepDone,
    StepSkipped,
    StepStarted,
    SyncChosen,
    WaitingForData,
)
from installer.flow.front_end import Back, Cancelled, Failure, FrontEnd, Recovery
from installer.flow.questions import (
    AskPassphrase,
    ChooseAccount,
    ChooseDevice,
    ChooseNetwork,
    ChooseSync,
    ConfirmDevice,
    ConfirmSending,
    OfferNotifications,
    SignIn,
    SyncChoice,
    TargetDevice,
)
from installer.flow.resume import Resumable
from installer.gateway.sync_advice import GATEWAY_NEEDED, how_to_start_gateway
from installer.measurement import Measurement, Quantity, Reading
from installer.provisioning.provisioner import DeviceInfo, Stage
from installer.wifi.networks import Band, Network, Security
from screens.engine_interface import SimpleOutcome

TIME = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ADDRESS = "00:24:E4:5C:1B:3C"


def model(model_id: str, name: str, kind: DeviceType, *sync: SyncMethod, **more: Any) -> Model:
    missing = {
        SyncMethod.WIFI: f"{name} has no Wi-Fi radio.",
        SyncMethod.BLUETOOTH: f"{name} sends a whole night of data, which it can do by Wi-Fi only.",
    }
    return Model(
        id=model_id,
        name=name,
        vendor="Withings",
        type=kind,
        sync=sync,
        missing={m: t for m, t in missing.items() if m not in sync},
        picture={"scale": "scale", "blood-pressure monitor": "cuff", "sleep mat": "mat"}.get(kind.value, kind.value),
        bands=("2.4 GHz",) if SyncMethod.WIFI in sync else (),
        cloud=CloudIds(data=DataService.MEASURES),
        **more,
    )


W, B = SyncMethod.WIFI, SyncMethod.BLUETOOTH
BODY_PLUS = model("body-plus", "Body+", DeviceType.SCALE, W, B, profile=Profile.WEIGHT)
SLEEP = model("sleep", "Sleep", DeviceType.SLEEP_MAT, W)
MOVE = model("move", "Move", DeviceType.WATCH, B)
CATALOGUE = Catalogue(
    models=(
        model("body", "Body", DeviceType.SCALE, W, B),
        BODY_PLUS,
        model("bpm-connect", "BPM Connect", DeviceType.BLOOD_PRESSURE_MONITOR, W, B),
        model("thermo", "Thermo", DeviceType.THERMOMETER, W, B),
        SLEEP,
        MOVE,
        model("pulse-hr", "Pulse HR", DeviceType.WATCH, B),
    )
)


def sighting(
    address: str,
    name: str,
    model_id: str | None = None,
    rssi: int = -60,
    *,
    state: SetupState = SetupState.NEW,
    certainty: Certainty = Certainty.CERTAIN,
    protocol: str | None = "improv",
    reasons: tuple[str, ...] = ("service UUID of Improv", "name"),
    note: str = "",
) -> Sighting:
    known = model_id is not None
    return Sighting(
        address=address,
        rssi=rssi,
        advert=Advert(name=name),
        state=state if known else SetupState.UNKNOWN,
        detection=Detection(
            model_id=model_id,
            certainty=certainty if known else Certainty.UNKNOWN,
            protocol=protocol if known else None,
            reasons=reasons if known else (),
            note=note,
        ),
    )


SIGHTINGS = (
    sighting(ADDRESS, "Body+ 3C", "body-plus", -52),
    sighting("00:24:E4:11:9A:07", "BPM Connect", "bpm-connect", -67, certainty=Certainty.LIKELY),
    sighting("00:24:E4:77:20:51", "Sleep", "sleep", -74),
    sighting("00:24:E4:40:3D:8E", "Pulse HR", "pulse-hr", -81, certainty=Certainty.LIKELY, protocol="guided"),
    sighting("00:24:E4:2A:06:6E", "Body+ 6E", "body-plus", -63, state=SetupState.SET_UP),
    sighting("D4:3B:04:8A:00:11", "Living room TV", rssi=-58),
    sighting("7C:2F:80:15:AA:02", "", rssi=-88),
)

NETWORKS = (
    Network(ssid="Home", security=Security.WPA2, rssi=-48, band=Band.GHZ_2_4, bssid="A4:2B:B0:11:22:30"),
    Network(ssid="Home", security=Security.WPA2, rssi=-66, band=Band.GHZ_2_4, bssid="A4:2B:B0:11:22:31"),
    Network(ssid="Café ☕ 日本", security=Security.WPA2_WPA3, rssi=-71, band=Band.GHZ_2_4),
    Network(ssid="Guests", security=Security.OPEN, rssi=-64, band=Band.GHZ_2_4),
    Network(ssid="Office", security=Security.ENTERPRISE, rssi=-70, band=Band.GHZ_5),
    Network(ssid="oldnet", security=Security.WEP, rssi=-83, band=Band.GHZ_2_4),
)


@dataclass
class Sightings:
    """Live sightings that a test can change."""

    all: Sequence[Sighting] = SIGHTINGS
    failure: InstallerError | None = None
    restarts: bool = False

    def current(self) -> Sequence[Sighting]:
        return self.all


def offers(count: int) -> list[Resumable]:
    """Installations that were interrupted five minutes ago."""
    stopped = (datetime.now(UTC) - timedelta(minutes=5, seconds=20)).isoformat()
    return [
        Resumable(
            id=f"6110e67ff16{number}",
            outcome="interrupted",
            step="network",
            stopped=stopped,
            address=ADDRESS[:-1] + str(number),
            name=f"Body+ {3 + number}C",
            model="body-plus",
            sent=number > 0,
        )
        for number in range(count)
    ]


@dataclass
class Script:
    """What the fake engine does; the defaults are a good installation by Wi-Fi."""

    model: Model = BODY_PLUS
    sightings: Sightings = field(default_factory=Sightings)
    networks: Sequence[Network] = NETWORKS
    accounts: Sequence[ListedAccount] = (ListedAccount("alex", "the keyring of this system", "1234567"),)
    encrypted: bool = False
    proved: bool = False
    button: bool = True
    failures: int = 0
    pace: float = 0.0  # seconds between stages; demo only
    browser_came_back: asyncio.Event | None = None
    scan: Callable[[], Awaitable[Sequence[Network]]] | None = None
    identify: Callable[[], Awaitable[None]] | None = None
    offer: OfferNotifications | None = None  # asked when the device is linked
    sign_in_warning: str = ""  # what happened at the link of the sign-in
    later: str = ""  # no measurement yet; the notice says when it will come
    hold: asyncio.Event | None = None  # the engine waits for this event …
    hold_at: str = "join"  # … here: button, join or verify
    offers: list[Resumable] = field(default_factory=list)
    unreadable: InstallerError | None = None  # why the interrupted installations cannot be read


class FakeInstallation:
    """One scripted installation."""

    def __init__(self, front: FrontEnd, answers: Answers, script: Script) -> None:
        self.front, self.answers, self.script = front, answers, script
        self.passphrases: list[str] = []
        self.pasted = ""
        self.notify: bool | str | None = None

    async def run(self) -> SimpleOutcome:
        self.front.show(InstallationStarted(time=TIME, version="0.1.0"))
        outcome = "installed"
        steps: list[tuple[StepKey, Callable[[], Awaitable[None]]]] = [
            (StepKey.FIND, self._find),
            (StepKey.SYNC, self._sync),
            (StepKey.NETWORK, self._network),
            (StepKey.PROVISION, self._provision),
            (StepKey.LINK, self._link),
            (StepKey.VERIFY, self._verify),
        ]
        at = 0
        try:
            while at < len(steps):
                key, carry_out = steps[at]
                if key in (StepKey.NETWORK, StepKey.PROVISION) and self.method is B:
                    self.front.show(StepSkipped(time=TIME, step=key, reason="The device syncs over Bluetooth only."))
                    at += 1
                    continue
                self.front.show(StepStarted(time=TIME, step=key))
                try:
                    await carry_out()
                except Back:
                    at = max(at - 1, 0)
                    while at and self.method is B and steps[at][0] in (StepKey.NETWORK, StepKey.PROVISION):
                        at -= 1
                    continue
                self.front.show(StepDone(time=TIME, step=key, took=1.0))
                at += 1
        except Cancelled:
            outcome = "cancelled"
        self.front.show(InstallationDone(time=TIME, outcome=outcome, took=74.0))
        return SimpleOutcome(outcome, self.answers)

    @property
    def method(self) -> SyncMethod | None:
        return self.answers.sync.method if self.answers.sync else None

    async def _pause(self) -> None:
        await asyncio.sleep(self.script.pace)

    async def _hold(self, where: str) -> None:
        if self.script.hold is not None and self.script.hold_at == where:
            await self.script.hold.wait()

    async def _find(self) -> None:
        script = self.script
        while True:
            answer = await self.front.ask(ChooseDevice(sightings=script.sightings, catalogue=CATALOGUE))
            self.answers = self.answers.with_answer(StepKey.FIND, answer)
            found = next(s for s in script.sightings.current() if s.address == answer.device)
            chosen = CATALOGUE.get(found.detection.model_id or "body-plus")
            script.model = chosen
            self.front.show(
                DeviceFound(
                    time=TIME,
                    address=found.address,
                    name=found.name,
                    model=chosen.name,
                    certainty=found.detection.certainty,
                    rssi=found.rssi,
                )
            )
            await self._pause()
            info = DeviceInfo(name=found.name, firmware="Lab", firmware_version="2.1.0", hardware="ESP32-C3")
            self.front.show(
                DeviceConnected(
                    time=TIME, address=found.address, protocol="improv", encrypts_credentials=False, info=info
                )
            )
            try:
                await self.front.ask(
                    ConfirmDevice(
                        sighting=found,
                        model=chosen,
                        info=info,
                        protocol="improv",
                        set_up=found.state is SetupState.SET_UP,
                        identify=script.identify or self._pause,
                        can_go_back=True,
                    )
                )
            except Back:
                continue
            return

    async def _sync(self) -> None:
        chosen = self.script.model
        choices = tuple(SyncChoice(m, chosen.allows(m), chosen.missing.get(m, "")) for m in SyncMethod)
        answer: SyncAnswer = await self.front.ask(ChooseSync(model=chosen, choices=choices, can_go_back=True))
        self.answers = self.answers.with_answer(StepKey.SYNC, answer)
        self.front.show(SyncChosen(time=TIME, method=answer.method))

    async def _network(self) -> None:
        script = self.script
        while True:
            answer = await self.front.ask(
                ChooseNetwork(
                    model=script.model, networks=script.networks, scan=script.scan or self._scan, can_go_back=True
                )
            )
            network = Network(ssid=answer.ssid, security=answer.security or Security.UNKNOWN, hidden=answer.hidden)
            if answer.secret is None and network.security is not Security.OPEN:
                try:
                    await self._passphrase(network)
                except Back:
                    continue
            break
        self.answers = self.answers.with_answer(StepKey.NETWORK, answer)
        self.front.show(
            NetworkChosen(time=TIME, ssid=network.ssid, security=network.security.value, seen_by_device=True)
        )

    async def _scan(self) -> Sequence[Network]:
        await self._pause()
        return self.script.networks

    async def _passphrase(self, network: Network, problem: InstallerError | None = None) -> None:
        secret = await self.front.ask(
            AskPassphrase(network=network, device=self._target, problem=problem, can_go_back=True)
        )
        self.passphrases.append(secret.get_secret_value())

    @property
    def _target(self) -> TargetDevice:
        """The device that gets the passphrase, as the real engine names it."""
        find = self.answers.find
        address = find.device if find is not None and find.device else "00:24:E4:12:34:56"
        return TargetDevice(address=address, name="Body+ 3C", model=self.script.model.name)

    async def _provision(self) -> None:
        script = self.script
        network = self.answers.network
        assert network is not None
        target = Network(ssid=network.ssid, security=network.security or Security.UNKNOWN)
        answer = await self.front.ask(
            ConfirmSending(
                model=script.model,
                network=target,
                protocol="improv",
                encrypted=script.encrypted,
                proved=script.proved,
                safe_from_relays=script.proved,
                device=self._target,
                can_go_back=True,
            )
        )
        self.answers = self.answers.with_answer(StepKey.PROVISION, answer)
        for attempt in range(1, 10):
            if script.button:
                self._stage(Stage.AUTHORIZATION_NEEDED, 60, "Press the button below the scale.")
                await self._hold("button")
                await self._pause()
            for stage, seconds in ((Stage.AUTHORIZED, None), (Stage.SENDING, 5), (Stage.JOINING, 30)):
                self._stage(stage, seconds)
                await self._pause()
            await self._hold("join")
            if attempt > script.failures:
                break
            error = InstallerError(
                ErrorCode.JOIN_FAILED,
                f"The device could not join {network.ssid}.",
                "The passphrase is the most frequent cause. Type it again, and mind capital letters.",
            )
            choices = (Recovery.CHANGE, Recovery.RETRY, Recovery.STOP)
            recovery = await self.front.recover(
                Failure(step=StepKey.PROVISION, error=error, recoveries=choices, change_step=StepKey.NETWORK)
            )
            if recovery is Recovery.STOP:
                raise Cancelled
            if recovery is Recovery.CHANGE:
                await self._passphrase(target, error)
        self._stage(Stage.JOINED, None)
        await self._pause()

    def _stage(self, stage: Stage, seconds: float | None, todo: str = "") -> None:
        self.front.show(Provisioning(time=TIME, stage=stage, seconds=seconds, todo=todo))

    async def _link(self) -> None:
        script = self.script
        answer: LinkAnswer = await self.front.ask(
            ChooseAccount(accounts=script.accounts, cloud="https://wbsapi.withings.net", can_go_back=False)
        )
        self.answers = self.answers.with_answer(StepKey.LINK, answer)
        if answer.account not in {a.name for a in script.accounts}:
            await self._sign_in(answer.account)
        self.front.show(Linking(time=TIME, way="link", seconds=60))
        await self._pause()
        self.front.show(Linked(time=TIME, way="link", account=answer.account, device_id="0a1b2c"))
        if script.offer is not None:
            self.notify = await self.front.ask(script.offer)

    async def _sign_in(self, account: str) -> None:
        url = "https://account.withings.com/oauth2_user/authorize2?" + "response_type=code&client_id=" + "0" * 64
        short = "http://127.0.0.1:8765/go"
        self.front.show(SignInNeeded(time=TIME, account=account, url=url, short_url=short, seconds=600))
        question = SignIn(
            account=account,
            url=url,
            short_url=short,
            seconds=600,
            open_browser=lambda: False,
            new_link=lambda: (url, "http://127.0.0.1:8765/new"),
            warning=lambda: self.script.sign_in_warning,
            can_go_back=False,
        )
        asking = asyncio.create_task(self.front.ask(question))
        came_back = self.script.browser_came_back or asyncio.Event()
        waiting = asyncio.create_task(came_back.wait())
        try:
            await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                self.pasted = asking.result()
        finally:
            for task in (asking, waiting):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Cancelled, Back):
                    await task
        self.front.show(SignedIn(time=TIME, account=account, stored_in="the keyring of this system"))

    async def _verify(self) -> None:
        source = "cloud" if self.method is W else "bluetooth"
        todo = "Step on the scale, with bare feet, until the number stops blinking."
        self.front.show(WaitingForData(time=TIME, source=source, seconds=120, todo=todo))
        await self._hold("verify")
        await self._pause()
        if self.script.later:
            self.front.show(Notice(time=TIME, code="first_data_later", text=self.script.later))
            return
        readings = (
            Reading(quantity=Quantity.WEIGHT, value=Decimal("72.35"), unit="kg"),
            Reading(quantity=Quantity.FAT_RATIO, value=Decimal("21.4"), unit="%"),
        )
        self.front.show(
            FirstMeasurement(time=TIME, source=source, measurement=Measurement(readings=readings, taken=TIME))
        )
        if source == "bluetooth":
            self.front.show(
                Notice(
                    time=TIME,
                    code="gateway_needed",
                    text=f"{GATEWAY_NEEDED} No gateway runs on this computer. {how_to_start_gateway()}",
                )
            )
        await self._pause()


class Starter:
    """Starts the installations of the app, and keeps them."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.made: list[FakeInstallation] = []
        self.resumed: Resumable | None = None

    def __call__(self, front: FrontEnd, answers: Answers) -> FakeInstallation:
        self.made.append(FakeInstallation(front, answers, self.script))
        return self.made[-1]

    # Implements `screens.engine_interface.ResumableInstallations`.

    async def offers(self) -> Sequence[Resumable]:
        if self.script.unreadable is not None:
            raise self.script.unreadable
        return self.script.offers

    def resume(self, front: FrontEnd, offer: Resumable) -> FakeInstallation:
        self.resumed = offer
        return self(front, Answers(find=FindAnswer(device=offer.address)))

    async def dismiss(self, offer: Resumable) -> None:
        self.script.offers = [o for o in self.script.offers if o.id != offer.id]
