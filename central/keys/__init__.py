"""The only rooms with private keys: the authority's, the fleet's, and the way back to names; whoever shows pages stays out."""
