"""Rules of alarms, without I/O. ``vtn/notify/alarms`` evaluates them and tells of alarms."""
