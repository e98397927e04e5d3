-- What audits found: written by `rndr audit --record` alone. Nothing of it is deleted by a rewind:
-- block and hash say what was audited, whatever became of it.
-- kind: replay or solvency. stored_digest: that of the audited database, if one was compared.
-- registry_balance and bonds are NULL where no node registry is followed; first: the first
-- difference in words, NULL where there is none.
CREATE TABLE audit_runs (
    run_id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    block BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    stored_digest BYTEA,
    token_balance TEXT NOT NULL,
    liabilities TEXT NOT NULL,
    surplus TEXT NOT NULL,
    registry_balance TEXT,
    bonds TEXT,
    differences BIGINT NOT NULL,
    first TEXT
);
CREATE INDEX audit_runs_by_block ON audit_runs (block, hash);
