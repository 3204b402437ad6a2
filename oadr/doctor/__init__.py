"""Examine a VTN, a VEN, a bridge or an address, and say of each thing what to do about it."""
