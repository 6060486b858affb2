"""What people read at a terminal, in their language: messages that know how they were made, and a catalogue a language; called by all."""
