"""What happens, as data: the JSON lines that scripts read."""
