"""Servers and ports that measurements and tests start."""
