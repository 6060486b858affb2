"""A configuration file becomes a `Config`, or every mistake in it with line, key and remedy; called by commands and loops."""
