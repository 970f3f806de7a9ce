"""A terminal for an observed run; a database server; a D-Bus daemon."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.security.observed_run import UNNAMED, Observed
from tests.system.conftest import postgres
from tests.system.test_host_network import bus
from tests.terminal import Terminal

__all__ = ["bus", "postgres"]


@pytest.fixture
def terminal(observed: Observed) -> Iterator[Terminal]:
    """A terminal with the environment of the observed run."""
    assert shutil.which("tmux"), ".ci/run installs tmux"
    names = ("MATRIX_", "WITNESS_", "PYTHONPATH", "DEVICE_INSTALLER_HOME")
    environment = {k: v for k, v in observed.environment(**UNNAMED).items() if k.startswith(names)}
    one = Terminal(
        observed.folder.parent,
        {**environment, "BROWSER": observed.browser(), "LANG": "C.UTF-8", "TERM": "xterm-256color"},
    )
    yield one
    one.tmux("kill-server")
