"""A lab device that speaks Shelly's RPC."""
