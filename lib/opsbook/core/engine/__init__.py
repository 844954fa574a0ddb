"""Plan -> events: steps, cells, the gate, the ledger. Knows records only as a sink."""
