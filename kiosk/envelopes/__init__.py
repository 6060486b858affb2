"""Signed and sealed forms: bytes that one side makes and the other believes; pure, and shared with the centre."""
