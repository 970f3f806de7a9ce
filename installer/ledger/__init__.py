"""What is kept of an installation."""
