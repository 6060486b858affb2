"""Under gpio: how bright a light and how loud a beeper is, and when a pin has to be pulsed for it; called by `gpio` alone."""
