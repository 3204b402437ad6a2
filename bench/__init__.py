"""How fast a VTN is, always beside a bare reference in the same run: load generator, workloads, references, report."""
