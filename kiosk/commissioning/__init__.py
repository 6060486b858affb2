"""How a board becomes a station: the first code, the certificate that comes of it, and who it is from then on."""
