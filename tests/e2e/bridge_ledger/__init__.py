"""A day of events through a bridge, a broker and a database that are killed meanwhile, and the judge of it."""
