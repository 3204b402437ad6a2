"""Keep results of events as they were evaluated, frozen ones for good, and read what results are made of."""
