"""The dialog that saves the answers of an installation as a file for a script."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.answers import Answers, save
from installer.errors import InstallerError
from screens.dialogs import Dialog
from screens.labels import shown
from screens.widgets import Callout, Text, button


class SaveAnswersDialog(Dialog[str]):
    """Asks where to save the answers. The result is the path, or None."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers
        self._may_overwrite = ""

    def title_text(self) -> str:
        return "Save the answers"

    def body(self) -> Iterable[Widget]:
        yield Text("A script repeats this installation with\n  device-installer install --answers FILE")
        if self.answers.network is not None and self.answers.network.passphrase is None:
            yield Text("No passphrase is in the file: a script takes it from where you name it.")
        model = self.answers.find.model if self.answers.find else None
        yield Input(f"answers-{model}.toml" if model else "answers.toml", id="path", placeholder="path of the file")
        yield Callout("", "warning", id="overwrite")
        yield Callout("", "error", id="unwritable")

    def buttons(self) -> Iterable[Button]:
        yield button("Save", "save", "primary")
        yield button("Cancel", "cancel")

    @on(Input.Changed)
    def _changed(self) -> None:
        self._may_overwrite = ""
        self.query_one("#overwrite", Callout).show_text("")
        self.query_one("#unwritable", Callout).show_text("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#save")
    def _save(self) -> None:
        name = self.query_one("#path", Input).value.strip()
        if not name:
            return
        path = Path(name).expanduser()
        if path.is_dir():
            path = path / "answers.toml"
        if path.exists() and self._may_overwrite != str(path):
            self._may_overwrite = str(path)
            warning = f"{shown(path.name)} exists. Save once more to overwrite it."
            self.query_one("#overwrite", Callout).show_text(warning)
            return
        try:
            save(self.answers, path)
        except InstallerError as error:
            self.query_one("#unwritable", Callout).show_text(str(error))
        else:
            self.dismiss(str(path))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)
