"""Under gpio: how loud a beeper is, and when a pin has to be pulsed at all; called by `gpio` alone."""
