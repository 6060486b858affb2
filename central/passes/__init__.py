"""An office's own passes: the register of them, and the page on which a phone shows one."""
