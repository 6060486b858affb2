"""What must hang where, and who may look: areas, sites, points, officers; no keys here, and no persons."""
