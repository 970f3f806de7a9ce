"""The lab in the guest, forked from a parent that has imported everything."""

from __future__ import annotations

import os

from tests.guest.inside.forked import Forked, Start
from tests.installer.lab.lab_process import LabProcess, Running


class ForkedLab(LabProcess):
    """As `LabProcess`, and ready within a moment."""

    def _begin(self, arguments: list[str]) -> Running:
        self.log_file.touch()
        nothing = self.folder / "nothing"
        nothing.touch()
        return Forked(
            Start(tuple(arguments), dict(os.environ), self.folder, nothing, self.log_file, self.log_file, lab=True)
        )
