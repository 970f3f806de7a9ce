"""A batch of devices that a person selected in a list. Sync method, network and account are asked once for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.answers import Answers, LinkAnswer, NetworkAnswer, SyncAnswer
from installer.batch.labels import Label
from installer.batch.options_and_result import BatchResult
from installer.batch.plan import Plan, Unit
from installer.batch.runner import Batch
from installer.batch.station import Station
from installer.catalogue.model import CloudIds, DataService, DeviceType, Model, SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow import network_spelling
from installer.flow.card_reading import decide
from installer.flow.front_end import Back
from installer.flow.questions import AskPassphrase, ChooseAccount, ChooseNetwork, ChooseSync, SyncChoice
from installer.flow.situation import Situation
from installer.flow.steps.link import LinkStep
from installer.wifi import network_manager, saved_networks
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.networks import Network, Security

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting
    from installer.flow.front_end import FrontEnd
    from installer.flow.run_resources import RunResources


class SelectionBatch:
    """Asks the questions in `front`, then runs the batch and shows its events in `front`."""

    def __init__(self, resources: RunResources, front: FrontEnd, sightings: Sequence[Sighting]) -> None:
        self._resources = resources
        self._front = front
        self._station = Station(resources.config, resources=resources)
        self._name = f"picked {datetime.now():%Y-%m-%d %H:%M:%S}"
        self._devices = [(s, resources.catalogue.get(s.detection.model_id)) for s in sightings if s.detection.model_id]
        self._batch: Batch | None = None
        self.plan: Plan | None = None

    async def run(self) -> BatchResult:
        """Ask, then install all. Raises Cancelled, and errors that stop all of them."""
        if self.plan is None:
            await self._station.prepare()
            self.plan = await self._ask()
        self._batch = self._station.batch(self.plan, self._front.show)
        try:
            return await self._batch.run()
        finally:
            self._batch = None

    def stop(self) -> None:
        """Start nothing more."""
        if self._batch is not None:
            self._batch.stop()

    def stop_now(self) -> None:
        """Cancel everything."""
        if self._batch is not None:
            self._batch.stop_now()

    async def labels(self) -> list[Label]:
        """The labels of the installed devices."""
        return [] if self.plan is None else await self._station.labels(self.plan)

    async def _ask(self) -> Plan:
        """Ask each question once. Back leads to the previous one."""
        methods: dict[str, SyncMethod] = {}
        network: NetworkAnswer | None = None
        link = LinkAnswer()
        index = 0
        steps = ("sync", "network", "account")
        while index < len(steps):
            try:
                if steps[index] == "sync":
                    methods = await self._methods()
                elif steps[index] == "network":
                    network = await self._network() if SyncMethod.WIFI in methods.values() else None
                elif any(model.cloud.data for _, model in self._devices):
                    link = await self._account()
                index += 1
            except Back:
                index = max(index - 1, 0)
                if steps[index] == "network" and SyncMethod.WIFI not in methods.values():
                    index = 0
        units = [
            Unit(
                name=str(number),
                key=sighting.address,
                row=number,
                device=sighting.address,
                model=model.id,
                sync=methods[model.id],
                sync_required=True,
                network=network if methods[model.id] is SyncMethod.WIFI else None,
                own_network=True,
                account=link.account,
                link_later=link.later,
            )
            for number, (sighting, model) in enumerate(self._devices, 1)
        ]
        return Plan(self._name, "the wizard", tuple(units))

    async def _methods(self) -> dict[str, SyncMethod]:
        """The sync method of each model. Asked only if a model has both."""
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
        host = await network_manager.current_network()
        problem: InstallerError | None = None
        while True:
            answer: NetworkAnswer = await self._front.ask(
                ChooseNetwork(
                    model=_several(len(self._devices)),
                    networks=[n.network for n in saved.values()],
                    host_ssid=host.ssid if host is not None else None,
                    saved=True,
                    can_go_back=True,
                    problem=problem,
                )
            )
            try:
                answer = await decide(
                    answer, by_host=network_manager.ssids_in_reach, ask=self._front.ask, say=self._say
                )
                answer = await network_spelling.settle(
                    answer,
                    await network_manager.networks_in_reach(),
                    ask=self._front.ask,
                    who=network_spelling.COMPUTER,
                )
                known = saved.get(answer.ssid)
                if answer.secret is None and known is not None and known.passphrase is not None:
                    answer = NetworkAnswer.from_saved(known)
                    answer = answer.model_copy(update={"secret": known.passphrase.fetch()})
                elif answer.secret is None:
                    answer = await self._passphrase(answer)
                _check(answer)
                return answer
            except InstallerError as error:
                problem = error
            except Back:
                problem = None

    def _say(self, code: str, text: str) -> None:
        self._front.show(Notice(code=code, text=text))

    async def _passphrase(self, answer: NetworkAnswer) -> NetworkAnswer:
        security = answer.security or Security.UNKNOWN
        if security is Security.OPEN:
            return answer.model_copy(update={"secret": SecretStr("")})
        network = Network(ssid=answer.ssid, security=security, hidden=answer.hidden)
        secret: SecretStr = await self._front.ask(AskPassphrase(network=network, can_go_back=True))
        return answer.model_copy(update={"secret": secret})

    async def _account(self) -> LinkAnswer:
        """A stored account, a new sign-in, or a link later."""
        accounts = await self._resources.accounts()
        environment = self._resources.environment()
        problem: InstallerError | None = None
        while True:
            answer: LinkAnswer = await self._front.ask(
                ChooseAccount(
                    accounts=await accounts.stored(),
                    cloud=environment.cloud_name,
                    later=True,
                    can_go_back=True,
                    problem=problem,
                )
            )
            if answer.later:
                return answer
            environment = replace(
                environment, options=replace(environment.options, ask=frozenset(), non_interactive=False)
            )
            situation = Situation(
                id="",
                environment=environment,
                front_end=self._front,
                given=Answers(),
                emit=self._front.show,
                record=environment.records.begin("", ""),
            )
            try:
                await LinkStep().check_account(situation, answer)
                return answer
            except InstallerError as error:
                if error.code is ErrorCode.INTERNAL:
                    raise
                problem = error


def _several(count: int, data: DataService | None = None) -> Model:
    """One model that stands for all devices in a question. `data`: the cloud service of those that have one."""
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
