"""Loaded by commands that tests start (`sitecustomize.py`)."""
