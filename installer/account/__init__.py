"""The account in the vendor's cloud: signing in, tokens, linking a device, its first data."""
