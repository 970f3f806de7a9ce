"""Time: backoff, deadlines, durations in words, dates that a person types."""
