"""How a command line is read: words that are loaded when they are chosen, values and mistakes told in our own words; shared with the centre."""
