"""Beside the two loops, every few seconds: the standing light, the marks, the status, the sweeper; called by `scanner` and `uplink` alone."""
