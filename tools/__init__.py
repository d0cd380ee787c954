"""What the product imports nothing of: the system on one machine, the contract, and what measures and attacks it."""
