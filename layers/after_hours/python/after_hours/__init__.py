"""After Hours in six rooms. Imports run one way, from the first towards the last.

sweep → members → outbox → entrypoints → foundation; `images` stands alone.
"""
