"""The command `link`: a device that was set up before, and left to be linked, comes to an account."""

from __future__ import annotations
