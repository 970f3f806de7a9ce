"""Measurements: fetched from the cloud, stored, shown and exported."""
