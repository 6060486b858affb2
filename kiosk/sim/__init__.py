"""Stand-ins that ship: recorded and simulated cameras, a panel that one can see. For demos, tests and the bench."""
