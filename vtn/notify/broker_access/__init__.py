"""Decide who may do what at the MQTT broker, and keep the broker to it."""
