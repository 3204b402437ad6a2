"""``oadr demo``: a whole fleet on one machine, one event, and a verdict.

``fleet`` starts the parts, ``truth`` looks at the simulated devices themselves, ``verdict`` compares what was reported
with what was true, ``command`` shows it.
"""
