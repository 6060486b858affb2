"""The centre: collects entries into the ledger, sends receipts, proves completeness."""
