"""Under the camera: what a Pi camera is asked for, and the lamp that follows the light; asked by `camera`, and by who opens one."""
