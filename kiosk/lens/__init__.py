"""Under the camera: what a frame is, what a Pi camera is asked for, and the lamp that follows the light; whoever wants frames names it."""
