"""Try the pages as people use them: in a real Chromium, against servers that run as processes."""
