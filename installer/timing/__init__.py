"""Waits and times: deadlines, backoff, durations in words, dates that a person types."""
