"""The events: what happens in a run, as JSON lines for scripts."""
