"""Under the uplink: which rows go, what travels, the automaton that decides when, and the link to a broker; `wire`, `pem` and `dial` are shared with the centre."""
