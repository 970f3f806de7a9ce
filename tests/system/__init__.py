"""Tests that need a system package (tmux); `.ci/run` installs it."""
