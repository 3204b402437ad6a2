"""Show a running VEN in Home Assistant by its MQTT discovery, and take the owner's word from there."""
