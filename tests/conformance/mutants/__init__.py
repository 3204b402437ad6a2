"""Proves that every check can fail: the suite runs through a proxy that breaks a VTN in one named way at a time."""
