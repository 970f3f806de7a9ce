"""A lab device that speaks Espressif provisioning."""
