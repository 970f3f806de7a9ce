"""Batch: many installations by one plan."""
