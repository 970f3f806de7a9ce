"""Tests of the wizard's screens, with a scripted engine in place of the real one."""
