"""The measure of the reader: a row a promise, each with its interval, its n, and whether it is met. `bench.decode` runs it."""
