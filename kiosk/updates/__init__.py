"""How one version takes the place of another: ordered, fetched, installed, proved; root and the uplink meet here in files alone."""
