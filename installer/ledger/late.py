"""The modules that load SQLAlchemy, loaded when they are first called for."""

from __future__ import annotations

from typing import Any


def writing() -> Any:
    """`installer.ledger.writing`."""
    from installer.ledger import writing as module

    return module


def reading() -> Any:
    """`installer.ledger.reading`."""
    from installer.ledger import reading as module

    return module


def leases() -> Any:
    """`installer.ledger.leases`."""
    from installer.ledger import leases as module

    return module
