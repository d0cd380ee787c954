"""`make soak`: many members at once on the deployed local stack, while what it stands on fails. See docs/soak.md."""
