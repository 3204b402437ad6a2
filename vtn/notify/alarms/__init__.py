"""Evaluate alarms, and tell of them by webhook, e-mail and MQTT."""
