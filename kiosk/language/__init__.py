"""What people read at a terminal, in their language: messages that know how they were made, and the catalogues; callable by all."""
