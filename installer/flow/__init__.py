"""One installation from the first scan to the first measurement, and what surrounds it."""
