"""Under the camera: what a frame is, or a picture file as one, what a Pi or USB camera is asked for, and the lamp that follows the light."""
