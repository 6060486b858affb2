"""The whole system on one machine, with people who do not exist: its broker, its view and its judge."""
