"""The page of a VEN: what its owner sees and says in a browser, served by the local API."""
