"""Under the decoder: which pass is tried next, what each pass does, and the two engines; called by `decoder`, by who measures, and for what is no QR code by others."""
