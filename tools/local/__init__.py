"""The whole system on one machine: embedded PostgreSQL, a local AWS (MiniStack) and our own `cdk deploy` to it."""
