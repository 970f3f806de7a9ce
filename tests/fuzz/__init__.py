"""Coverage-guided fuzzing of every decoder of foreign bytes: `make fuzz`. Findings become tests."""
