"""A lab device that speaks Improv Wi-Fi."""
