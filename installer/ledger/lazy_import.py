"""The modules that load SQLAlchemy, loaded when they are first called for."""

from __future__ import annotations

from typing import Any


def writing() -> Any:
    """`installer.ledger.statements`."""
    from installer.ledger import statements as module

    return module


def reading() -> Any:
    """`installer.ledger.queries`."""
    from installer.ledger import queries as module

    return module


def leases() -> Any:
    """`installer.ledger.leases`."""
    from installer.ledger import leases as module

    return module
