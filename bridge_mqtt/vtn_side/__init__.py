"""The bridge as an OpenADR client: events are read, panels made known as resources, and reports sent."""
