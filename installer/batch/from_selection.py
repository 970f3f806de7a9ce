"""A batch of devices that a person ticked in a list: sync method, network and account are chosen once for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.answers import Answers, LinkAnswer, NetworkAnswer, StepKey, SyncAnswer
from installer.batch.labels import Label
from installer.batch.plan import Plan, Unit
from installer.batch.row_state import Result
from installer.batch.runner import Batch
from installer.batch.station import Station
from installer.catalogue.catalogue import CloudIds, DataService, DeviceType, Model, SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import AskPassphrase, Back, ChooseAccount, ChooseNetwork, ChooseSync, SyncChoice
from installer.flow.steps.link import Link
from installer.flow.steps.step import Situation
from installer.wifi import network_manager, saved_networks
from installer.wifi.networks import Credentials, Network, Security, check_credentials

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting
    from installer.flow.assembly import Assembly
    from installer.flow.questions import FrontEnd


class PickedBatch:
    """Asks `front` the questions, then runs the batch, whose events `front` is shown."""

    def __init__(self, assembly: Assembly, front: FrontEnd, sightings: Sequence[Sighting]) -> None:
        self._assembly = assembly
        self._front = front
        self._station = Station(assembly.place, assembly=assembly)
        self._name = f"picked {datetime.now():%Y-%m-%d %H:%M:%S}"
        self._devices = [(s, assembly.catalogue.get(s.detection.model_id)) for s in sightings if s.detection.model_id]
        self._batch: Batch | None = None
        self.plan: Plan | None = None

    async def run(self) -> Result:
        """Ask, then install all. Raises Cancelled, and what concerns all of them."""
        if self.plan is None:
            await self._station.prepare()
            self.plan = await self._ask()
        self._batch = self._station.batch(self.plan, self._front.show)
        try:
            return await self._batch.run()
        finally:
            self._batch = None

    def stop(self) -> None:
        """Begin nothing more."""
        if self._batch is not None:
            self._batch.stop()

    def stop_now(self) -> None:
        """Break everything off."""
        if self._batch is not None:
            self._batch.stop_now()

    async def labels(self) -> list[Label]:
        """The labels of what is done."""
        return [] if self.plan is None else await self._station.labels(self.plan)

    async def _ask(self) -> Plan:
        """Each question once; Back leads to the one before."""
        methods: dict[str, SyncMethod] = {}
        network: NetworkAnswer | None = None
        link = LinkAnswer()
        at = 0
        steps = ("sync", "network", "account")
        while at < len(steps):
            try:
                if steps[at] == "sync":
                    methods = await self._methods()
                elif steps[at] == "network":
                    network = await self._network() if SyncMethod.WIFI in methods.values() else None
                elif any(model.cloud.data for _, model in self._devices):
                    link = await self._account()
                at += 1
            except Back:
                at = max(at - 1, 0)
                if steps[at] == "network" and SyncMethod.WIFI not in methods.values():
                    at = 0
        units = [
            Unit(
                name=str(number),
                key=sighting.address,
                row=number,
                device=sighting.address,
                model=model.id,
                sync=methods[model.id],
                firm=True,
                network=network if methods[model.id] is SyncMethod.WIFI else None,
                account=link.account,
                later=link.later,
            )
            for number, (sighting, model) in enumerate(self._devices, 1)
        ]
        return Plan(self._name, "the wizard", tuple(units))

    async def _methods(self) -> dict[str, SyncMethod]:
        """The method of each model; asked only where a model has both."""
        models = {model.id: model for _, model in self._devices}
        both = [model for model in models.values() if len(model.sync) > 1]
        chosen = SyncMethod.WIFI
        if both:
            count = sum(len(model.sync) > 1 for _, model in self._devices)
            choices = tuple(SyncChoice(method, True) for method in SyncMethod)
            data = next((m.cloud.data for m in both if m.cloud.data is not None), None)
            answer: SyncAnswer = await self._front.ask(
                ChooseSync(model=_several(count, data), choices=choices, count=count)
            )
            chosen = answer.method
        return {m.id: chosen if m.allows(chosen) else m.sync[0] for m in models.values()}

    async def _network(self) -> NetworkAnswer:
        """A saved network, or another one with its passphrase."""
        saved = {n.ssid: n for n in saved_networks.load().values()}
        host = await network_manager.current()
        problem: InstallerError | None = None
        while True:
            answer: NetworkAnswer = await self._front.ask(
                ChooseNetwork(
                    model=_several(len(self._devices)),
                    networks=[n.network for n in saved.values()],
                    host=host.ssid if host is not None else None,
                    saved=True,
                    can_go_back=True,
                    problem=problem,
                )
            )
            try:
                known = saved.get(answer.ssid)
                if answer.secret is None and known is not None and known.passphrase is not None:
                    answer = known.answer
                    answer = answer.model_copy(update={"secret": known.passphrase.fetch()})
                elif answer.secret is None:
                    answer = await self._passphrase(answer)
                _check(answer)
                return answer
            except InstallerError as error:
                problem = error
            except Back:
                problem = None

    async def _passphrase(self, answer: NetworkAnswer) -> NetworkAnswer:
        security = answer.security or Security.UNKNOWN
        if security is Security.OPEN:
            return answer.model_copy(update={"secret": SecretStr("")})
        network = Network(ssid=answer.ssid, security=security, hidden=answer.hidden)
        secret: SecretStr = await self._front.ask(AskPassphrase(network=network, can_go_back=True))
        return answer.model_copy(update={"secret": secret})

    async def _account(self) -> LinkAnswer:
        """A stored account, or one that somebody signs in to now; or later."""
        accounts = await self._assembly.accounts()
        around = self._assembly.surroundings()
        problem: InstallerError | None = None
        while True:
            answer: LinkAnswer = await self._front.ask(
                ChooseAccount(
                    accounts=await accounts.stored(),
                    cloud=around.cloud_name,
                    later=True,
                    can_go_back=True,
                    problem=problem,
                )
            )
            if answer.later:
                return answer
            around = replace(around, options=replace(around.options, ask=frozenset(), non_interactive=False))
            situation = Situation(
                id="",
                surroundings=around,
                front=self._front,
                given=Answers(),
                emit=self._front.show,
                record=around.records.begin("", ""),
            )
            try:
                await Link().ready(situation, answer)
                return answer
            except InstallerError as error:
                if error.code is ErrorCode.INTERNAL:
                    raise
                problem = error


def _several(count: int, data: DataService | None = None) -> Model:
    """The devices as one, for a question that is asked about a model. `data`: where a cloud keeps those of any."""
    return Model(
        id="several",
        name=f"these {count} devices" if count > 1 else "this device",
        type=DeviceType.OTHER,
        sync=tuple(SyncMethod),
        cloud=CloudIds(data=data),
    )


def _check(answer: NetworkAnswer) -> None:
    network = Network(ssid=answer.ssid, security=answer.security or Security.UNKNOWN, hidden=answer.hidden)
    check_credentials(Credentials(network=network, passphrase=answer.secret or SecretStr("")))


__all__ = ["PickedBatch", "StepKey"]
