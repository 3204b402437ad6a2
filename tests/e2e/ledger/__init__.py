"""A ledger of what was committed and what was received, written by neither the outbox nor its dispatchers."""
