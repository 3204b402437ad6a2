"""Say what an event delivered: baselines, their adjustment, and results by participant and interval. No I/O."""
