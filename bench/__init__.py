"""Measure the speed of a VTN beside a bare reference in the same run: load generator, workloads, references, report."""
