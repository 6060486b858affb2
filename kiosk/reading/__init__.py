"""Under the decoder: which pass is tried next, what each pass does, and the two engines; called by `decoder` alone, and by who measures."""
