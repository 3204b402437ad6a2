"""Keep what reports say in tables, and answer questions about events and meters from them."""
