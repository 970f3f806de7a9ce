"""The ledger: a database with the records of installations."""
