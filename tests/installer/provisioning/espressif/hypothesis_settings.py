"""How the property tests here run: without deadlines, because a busy machine is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

CALM = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(CALM, max_examples=10)
