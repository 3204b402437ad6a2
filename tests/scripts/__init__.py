"""The scripts a contributor runs."""
