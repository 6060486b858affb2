"""The technician's: trying every part, aiming, drawing, asking, packing what helps from afar; called by commands alone."""
