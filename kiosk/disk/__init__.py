"""Under whatever must survive a power cut: small files replaced whole, texts as editors leave them, and the outbox's file as a thing on a disk."""
