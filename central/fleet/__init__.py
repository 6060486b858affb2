"""The stations: who they are, what they are told, when they were last heard; called by commands and the enrolment server."""
