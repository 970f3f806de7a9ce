"""The vendor's cloud: sign-in, tokens, requests, rate limit, devices of an account."""
