"""Under the uplink: what travels, the automaton that decides what to send, and the link to a broker; `wire` is shared with the centre."""
