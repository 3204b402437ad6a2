"""Issue events at the console: what was typed, what it means, and what it will do."""
