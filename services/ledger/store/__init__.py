"""Storage of the ledger: the view of entries for statements, and the price lists."""
