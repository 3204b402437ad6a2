"""End limits at their expiry when the VEN is gone or hangs and the device would keep them: a process that watches it.

`guard` is the VEN's end of the pipe, `watchdog` the process at the other end. Nothing is written to disk for it.
"""
