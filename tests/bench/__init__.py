"""What is measured: `python -m tests.bench`. Ratios side by side in one run; nothing here is a test."""
