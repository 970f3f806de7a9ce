"""The vendor's own service on a lab device."""
