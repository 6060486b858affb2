"""Where the authority's private keys and the fleet's signing key are read, and the way back to names; whoever shows pages stays out."""
