"""Whom this station believes: the fleet's keys, the lists they sign, and the issuers those name; the centre writes the same forms."""
