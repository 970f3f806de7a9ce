"""Whole installations through the real stack: engine, command line and wizard against the lab."""
