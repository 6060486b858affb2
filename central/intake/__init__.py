"""From a broker into the ledger: gather, commit, receipt, acknowledge; called by `central collect`."""
