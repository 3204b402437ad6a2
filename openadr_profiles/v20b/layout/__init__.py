"""Lay out the objects of `messages` in XML: one table for each, from which `reading` and `writing` both work."""
