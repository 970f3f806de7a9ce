"""The long proofs: many kills, many devices, a week without the cloud. Run by `make proof` and by CI."""
