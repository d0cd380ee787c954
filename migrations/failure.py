class MigrationFailed(Exception):
    """PostgreSQL refused a statement, the connection broke, or the time was up.

    The message names the error, the table and the constraint, and quotes no row.
    PostgreSQL's own message may quote a whole row: a place, a text. CloudFormation shows ours to whoever deploys.
    """
