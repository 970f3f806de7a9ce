"""The commands beside install and wizard."""
