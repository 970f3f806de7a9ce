"""The fixtures of the cloud's tests: the lab's cloud, a home of its own, no keyring."""

from __future__ import annotations

from tests.installer.cloud.conftest import _impatient, _no_keyring, _own_home, practice

__all__ = ["_impatient", "_no_keyring", "_own_home", "practice"]
