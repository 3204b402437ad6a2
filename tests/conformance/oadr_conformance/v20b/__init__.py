"""Checks of any OpenADR 2.0b VTN, as a stranger VEN makes them that pulls by simple HTTP, with XML of its own."""
