"""Many stations without doors, for load on a real broker and a real ledger; called by `central simulate`."""
