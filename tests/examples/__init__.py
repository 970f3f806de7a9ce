"""The examples work as their texts say."""
