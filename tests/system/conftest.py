"""The same lab as the flow tests use."""

from tests.flow.conftest import home, world

__all__ = ["home", "world"]
