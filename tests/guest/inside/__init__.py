"""Tests that run inside the guest, and what they use there."""
