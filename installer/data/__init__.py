"""Measurements fetched from the cloud: the store, its export, and the pictures of it."""
