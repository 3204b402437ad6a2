"""How the objects of `messages` lie in XML: one table for each, from which `reading` and `writing` both work."""
