"""Network: which Wi-Fi network the device shall join; also a hidden one, and one from a WIFI: text."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from installer.answers import NetworkAnswer
from installer.errors import InstallerError
from installer.flow.questions import ChooseNetwork
from installer.qr.classify import QrKind, kind_of
from installer.wifi.networks import Network, by_ssid, check_network
from screens.choice_list import ChoiceList, ChoiceTable, Column, Row
from screens.frame import QuestionScreen
from screens.network_dialogs import OtherNetworkDialog, WifiTextDialog
from screens.widgets import Text, bars_of, security_label, signal, strength

COLUMNS = (Column("Network"), Column("Security", 16), Column("Band", 7), Column("Signal", 6), Column("", 16))
WITHOUT_BAND = (*COLUMNS[:2], *COLUMNS[3:])
OTHER = "other"


class NetworkScreen(QuestionScreen[ChooseNetwork]):
    """Asks for the network."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rescan", "Search again", id="network.rescan", tooltip="Let the device search again"),
        Binding("p", "paste", "WIFI: text", id="network.paste", tooltip="Take the network from the text of a QR code"),
        Binding("h", "other", "Other…", show=False, id="network.other", tooltip="A network that is not in the list"),
    ]

    def __init__(self, question: ChooseNetwork) -> None:
        super().__init__(question)
        self._networks: dict[str, Network] = {}
        self._searching = False

    def heading(self) -> str:
        return f"Which Wi-Fi network shall {self.question.model.name} join?"

    def hint(self) -> str:
        if self.question.saved:
            known = "Networks that this computer keeps. " if self.question.networks else ""
            return f"{known}All of them get the same one; they must be in its reach."
        if not self.question.networks and self.question.scan is None:
            return "This device cannot list networks: name yours."
        return self._found(len(by_ssid(self.question.networks)))

    @staticmethod
    def _found(count: int) -> str:
        if not count:
            return "The device sees no network. Is the router on, and near?"
        return f"The device itself sees {count} network{'' if count == 1 else 's'} from where it is."

    def body(self) -> Iterable[Widget]:
        yield ChoiceTable(COLUMNS, list_id="networks")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self._fill(self.question.networks)
        rows = self.query_one(ChoiceList)
        if self.question.host is not None:
            # This computer's own network is the likely one; if the device does not see it, nothing changes.
            rows.select(f"n:{self.question.host}")
        rows.focus()

    def _fill(self, networks: Iterable[Network]) -> None:
        merged = by_ssid(n for n in networks if n.ssid)
        self._networks = {f"n:{n.ssid}": n for n in merged}
        rows = [self._row(key, network) for key, network in self._networks.items()]
        rows.append(Row(OTHER, ("Other network…", "", "", "", "")))
        # Many devices do not tell the band.
        has_band = any(n.band for n in merged)
        if not has_band:
            rows = [replace(r, cells=(*r.cells[:2], *r.cells[3:])) for r in rows]
        self.query_one(ChoiceTable).set_columns(COLUMNS if has_band else WITHOUT_BAND)
        self.query_one(ChoiceList).set_rows(rows)

    def _row(self, key: str, network: Network) -> Row:
        points = f"{network.access_points} access points" if network.access_points > 1 else ""
        reason = ""
        try:
            check_network(network, self.question.model.bands)
        except InstallerError as error:
            reason = f"{error.what} {error.todo}"
        bars = bars_of(network.rssi)
        return Row(
            key,
            (
                network.label,
                security_label(network.security),
                network.band.value if network.band else "",
                signal(bars) if network.rssi is not None else "",
                "cannot be joined" if reason else points,
            ),
            reason,
        )

    @on(ChoiceList.Moved)
    def _moved(self, event: ChoiceList.Moved) -> None:
        detail = self.query_one("#detail", Text)
        network = self._networks.get(event.row.key) if event.row else None
        if network is None:
            detail.update(Content("For a network that hides its name, or that the device does not see yet."))
        elif event.row is not None and event.row.reason:
            detail.update(Content(event.row.reason))
        else:
            words = [
                f"{network.rssi} dBm, {strength(bars_of(network.rssi))} signal" if network.rssi is not None else ""
            ]
            words.append(f"access point {network.bssid}" if network.bssid and network.access_points == 1 else "")
            words.append("" if network.security.needs_passphrase else "open: everybody near can join it")
            detail.update(Content("   ".join(w for w in words if w)))

    @on(ChoiceList.Chosen)
    def _chosen(self, event: ChoiceList.Chosen) -> None:
        if event.row.key == OTHER:
            self.action_other()
            return
        network = self._networks[event.row.key]
        self.answer(NetworkAnswer(ssid=network.ssid, security=network.security, hidden=network.hidden))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Searching, where the device can, and not twice at once."""
        if action == "rescan":
            return self.question.scan is not None and not self._searching
        return super().check_action(action, parameters)

    def action_rescan(self) -> None:
        """Let the device search again."""
        self._searching = True
        self.refresh_bindings()
        self.say(hint="The device searches again…")
        self.run_worker(self._rescan(), group="scan", exclusive=True)

    async def _rescan(self) -> None:
        scan = self.question.scan
        if scan is None:
            return
        try:
            networks = await scan()
        except InstallerError as error:
            self.say_problem(f"{error.what} {error.todo}")
            self.say(hint=self._found(len(self._networks)))
        else:
            self.say_problem("")
            self._fill(networks)
            self.say(hint=self._found(len(self._networks)))
        finally:
            self._searching = False
            self.refresh_bindings()

    def action_other(self) -> None:
        """Name a network that is not in the list."""
        self.app.push_screen(OtherNetworkDialog(hidden=self.question.scan is not None), self._take)

    def action_paste(self) -> None:
        """Take the network from a WIFI: text."""
        self.app.push_screen(WifiTextDialog(), self._take)

    def on_paste(self, event: events.Paste) -> None:
        """The text of a code pasted anywhere on this screen is read at once; also to say what another one is."""
        if kind_of(event.text) not in (QrKind.OTHER, QrKind.URL):
            event.stop()
            self.app.push_screen(WifiTextDialog(event.text.strip()), self._take)

    def _take(self, answer: NetworkAnswer | None) -> None:
        if answer is not None:
            self.answer(answer)
