"""What the centre asks of a station: commands done, errands for the panel, lists taken in; called by the uplink."""
