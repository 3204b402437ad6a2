"""Helpers shared by the tests: real servers, free ports, and waiting for conditions. Nothing here is shipped."""
