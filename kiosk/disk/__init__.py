"""Under whatever must survive a power cut: small files replaced whole, and the outbox's file as a thing on a disk."""
