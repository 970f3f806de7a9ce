"""The same with a real second user and a real database server; these tests need root and system packages."""
