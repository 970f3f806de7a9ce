"""The network step: choose the Wi-Fi network for the device, from its list, by name, or from the text of a QR code.

A second screen asks which reading is right if the maker of the code left that open, and a third one which name, if
nearly the same one is heard.
"""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, RadioSet, Static

from installer.answers import NetworkAnswer
from installer.bluetooth.signal_strength import signal_bars
from installer.errors import InstallerError
from installer.flow.questions import ChooseNetwork, ChooseReading, ChooseSpelling
from installer.qr.classify import QrKind, kind_of
from installer.text import capitalized
from installer.wifi.card_readings import CardReading
from installer.wifi.near_names import difference
from installer.wifi.networks import Network, Security, by_ssid, check_network, check_typed_ssid
from screens.cards import Card, CardChoice, Cards
from screens.choice_list import ChoiceColumn, ChoiceList, ChoiceRow, ChoiceTable
from screens.dialogs import Dialog
from screens.labels import security_label, shown, shown_ssid, signal, strength
from screens.qr_text_dialogs import WifiQrTextDialog
from screens.question_screen import QuestionScreen
from screens.widgets import Callout, RadioOption, Text, TickBox, button

COLUMNS = (
    ChoiceColumn("Network"),
    ChoiceColumn("Security", 16),
    ChoiceColumn("Band", 7),
    ChoiceColumn("Signal", 6),
    ChoiceColumn("", 16),
)
COLUMNS_WITHOUT_BAND = (*COLUMNS[:2], *COLUMNS[3:])
OTHER_NETWORK_KEY = "other"
SECURITY_CHOICES = (
    (Security.WPA2_WPA3, "It has a passphrase (WPA2 or WPA3)"),
    (Security.OPEN, "It is open, without a passphrase"),
    (Security.UNKNOWN, "I do not know"),
)


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
        return f"Which Wi-Fi network should {self.question.model.name} join?"

    def hint(self) -> str:
        if self.question.saved:
            known = "Networks that this computer keeps. " if self.question.networks else ""
            return f"{known}All of them get the same one; they must be in its reach."
        if not self.question.networks and self.question.scan is None:
            return "This device cannot list networks: name yours."
        return self._count_text(len(by_ssid(self.question.networks)))

    @staticmethod
    def _count_text(count: int) -> str:
        if not count:
            return "The device sees no network. Is the router on, and near?"
        return f"The device itself sees {count} network{'' if count == 1 else 's'} from where it is."

    def body(self) -> Iterable[Widget]:
        yield ChoiceTable(COLUMNS, list_id="networks")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self._show_networks(self.question.networks)
        rows = self.query_one(ChoiceList)
        if self.question.host_ssid is not None:
            # The network of this computer is the likely one. If the device does not see it, the cursor stays.
            rows.select(f"n:{self.question.host_ssid}")
        rows.focus()

    def _show_networks(self, networks: Iterable[Network]) -> None:
        merged = by_ssid(n for n in networks if n.ssid)
        self._networks = {f"n:{n.ssid}": n for n in merged}
        rows = [self._row(key, network) for key, network in self._networks.items()]
        rows.append(ChoiceRow(OTHER_NETWORK_KEY, ("Other network…", "", "", "", "")))
        # Many devices do not report the band.
        has_band = any(n.band for n in merged)
        if not has_band:
            rows = [replace(r, cells=(*r.cells[:2], *r.cells[3:])) for r in rows]
        self.query_one(ChoiceTable).set_columns(COLUMNS if has_band else COLUMNS_WITHOUT_BAND)
        self.query_one(ChoiceList).set_rows(rows)

    def _row(self, key: str, network: Network) -> ChoiceRow:
        points = f"{network.access_points} access points" if network.access_points > 1 else ""
        reason = ""
        try:
            check_network(network, self.question.model.bands)
        except InstallerError as error:
            reason = f"{error.what} {error.todo}"
        bars = signal_bars(network.rssi)
        return ChoiceRow(
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
            parts = [
                f"{network.rssi} dBm, {strength(signal_bars(network.rssi))} signal" if network.rssi is not None else ""
            ]
            parts.append(f"access point {network.bssid}" if network.bssid and network.access_points == 1 else "")
            parts.append("" if network.security.needs_passphrase else "open: everybody near can join it")
            detail.update(Content("   ".join(part for part in parts if part)))

    @on(ChoiceList.Chosen)
    def _chosen(self, event: ChoiceList.Chosen) -> None:
        if event.row.key == OTHER_NETWORK_KEY:
            self.action_other()
            return
        network = self._networks[event.row.key]
        self.answer(NetworkAnswer(ssid=network.ssid, security=network.security, hidden=network.hidden))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Searching again needs a device that can search, and no search that is running."""
        if action == "rescan":
            return self.question.scan is not None and not self._searching
        return super().check_action(action, parameters)

    def action_rescan(self) -> None:
        """Let the device search again."""
        self._searching = True
        self.refresh_bindings()
        self.set_header(hint="The device searches again…")
        self.run_worker(self._rescan(), group="scan", exclusive=True)

    async def _rescan(self) -> None:
        scan = self.question.scan
        if scan is None:
            return
        try:
            networks = await scan()
        except InstallerError as error:
            self.show_problem(f"{error.what} {error.todo}")
            self.set_header(hint=self._count_text(len(self._networks)))
        else:
            self.show_problem("")
            self._show_networks(networks)
            self.set_header(hint=self._count_text(len(self._networks)))
        finally:
            self._searching = False
            self.refresh_bindings()

    def action_other(self) -> None:
        """Name a network that is not in the list."""
        self.app.push_screen(OtherNetworkDialog(hidden=self.question.scan is not None), self._answer_from_dialog)

    def action_paste(self) -> None:
        """Ask for the text of a Wi-Fi QR code."""
        self.app.push_screen(WifiQrTextDialog(), self._answer_from_dialog)

    def on_paste(self, event: events.Paste) -> None:
        """Open the dialog for QR text pasted anywhere on this screen. It also explains codes of other kinds."""
        if kind_of(event.text) not in (QrKind.OTHER, QrKind.URL):
            event.stop()
            self.app.push_screen(WifiQrTextDialog(event.text.strip()), self._answer_from_dialog)

    def _answer_from_dialog(self, answer: NetworkAnswer | None) -> None:
        if answer is not None:
            self.answer(answer)


class OtherNetworkDialog(Dialog[NetworkAnswer]):
    """Asks for the name and security of a network that is not in the list, and whether it hides its name."""

    def __init__(self, *, hidden: bool) -> None:
        super().__init__()
        self._hidden = hidden

    def title_text(self) -> str:
        return "Another network"

    def body(self) -> Iterable[Widget]:
        yield Input(id="ssid", placeholder="name of the network (SSID), letter by letter")
        with RadioSet(id="security"):
            for index, (_, label) in enumerate(SECURITY_CHOICES):
                yield RadioOption(Content(label), value=index == 0)
        yield TickBox(Content("It hides its name"), self._hidden, id="hidden")
        yield Callout("", "error", id="ssid-problem")

    def buttons(self) -> Iterable[Button]:
        yield button("Use it", "use", "primary")
        yield button("Cancel", "cancel")

    @on(Input.Changed)
    def _changed(self) -> None:
        self.query_one("#ssid-problem", Callout).show_text("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#use")
    def _use(self) -> None:
        ssid = self.query_one("#ssid", Input).value
        try:
            check_typed_ssid(ssid)
        except InstallerError as error:
            self.query_one("#ssid-problem", Callout).show_text(f"{error.what} {error.todo}")
            return
        security = SECURITY_CHOICES[max(self.query_one(RadioSet).pressed_index, 0)][0]
        self.dismiss(NetworkAnswer(ssid=ssid, security=security, hidden=self.query_one(Checkbox).value))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)


class CardReadingScreen(QuestionScreen[ChooseReading]):
    """Offers each reading as a card: the whole SSID, and the passphrase hidden behind its length."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f2,ctrl+t",
            "reveal",
            "Passphrases",
            key_display="F2",
            id="reading.reveal",
            tooltip="Show or hide the passphrases",
        ),
    ]

    def __init__(self, question: ChooseReading) -> None:
        super().__init__(question)
        self._revealed = False

    def heading(self) -> str:
        return "Which of these is your network?"

    def hint(self) -> str:
        return (
            f"Its code can be read in {len(self.question.readings.readings)} ways: the maker of the code left open "
            "which special characters belong to it."
        )

    def body(self) -> Iterable[Widget]:
        yield Cards(
            [
                CardChoice(str(index), shown_ssid(reading.ssid), self._text(reading))
                for index, reading in enumerate(self.question.readings.readings)
            ]
        )

    def on_mount(self) -> None:
        cards = list(self.query(Card))
        in_reach = (c for c, r in zip(cards, self.question.readings.readings, strict=True) if self._is_heard(r))
        next(in_reach, cards[0]).focus()

    def _is_heard(self, reading: CardReading) -> bool:
        return reading.ssid in self.question.heard

    def _text(self, reading: CardReading) -> str:
        secret = reading.passphrase.get_secret_value()
        if not secret:
            passphrase = "no passphrase"
        elif self._revealed:
            passphrase = f"passphrase “{shown(secret)}”"
        else:
            passphrase = f"passphrase of {len(secret)} characters"
        known = "" if reading.security is Security.UNKNOWN else f"{security_label(reading.security)}, "
        reach = " It is in reach." if self._is_heard(reading) else ""
        return f"{known}{passphrase}.{reach}\n{capitalized(reading.how)}."

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An answered question shows no passphrase any more."""
        if action == "reveal":
            return not self.result.done()
        return super().check_action(action, parameters)

    def action_reveal(self) -> None:
        """Show or hide the passphrases."""
        self._reveal(not self._revealed)

    def _reveal(self, revealed: bool) -> None:
        self._revealed = revealed
        for card, reading in zip(self.query(Card), self.question.readings.readings, strict=False):
            card.query_one(".card-text", Static).update(Content(self._text(reading)))

    def clear_secrets(self) -> None:
        self._reveal(False)

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        self.answer(NetworkAnswer.from_reading(self.question.readings.readings[int(event.choice.key)]))


class NetworkSpellingScreen(QuestionScreen[ChooseSpelling]):
    """Offers each name as a card, in quotes. The answer is the SSID."""

    def heading(self) -> str:
        return "Which name do you mean?"

    def hint(self) -> str:
        return f"{capitalized(self.question.who)} does not hear {shown_ssid(self.question.typed)}. Every sign counts."

    def body(self) -> Iterable[Widget]:
        typed = self.question.typed
        near = [
            CardChoice(
                str(index),
                shown_ssid(network.ssid),
                f"{capitalized(self.question.who)} hears it. The names differ in {difference(typed, network.ssid)}.",
            )
            for index, network in enumerate(self.question.heard)
        ]
        yield Cards([*near, CardChoice("typed", shown_ssid(typed), "As it was given. It is sent all the same.")])

    def on_mount(self) -> None:
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        key = event.choice.key
        self.answer(self.question.typed if key == "typed" else self.question.heard[int(key)].ssid)
