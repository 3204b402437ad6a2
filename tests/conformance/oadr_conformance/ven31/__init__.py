"""Examines a VEN of OpenADR 3.1: a small VTN of the suite plays a scenario, and the VEN is judged by what it did."""
