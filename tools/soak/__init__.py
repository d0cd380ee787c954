"""`make soak`: many members at once on the deployed local stack, while its dependencies fail. See docs/soak.md."""
