"""Many installations by one plan."""
