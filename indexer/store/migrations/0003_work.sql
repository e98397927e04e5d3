-- Work done off chain: written by the settler alone.
-- No row here has a foreign key into chain rows: a rewind must not lose work.

-- Nodes that registered at the door; token_hash is the keccak256 of the bearer token of the door.
CREATE TABLE nodes (
    node BYTEA NOT NULL PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    registered_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
-- What a node can run. Machines of one kernel class render a unit to the same pixels.
CREATE TABLE node_backends (
    node BYTEA NOT NULL REFERENCES nodes (node),
    backend TEXT NOT NULL,
    version TEXT NOT NULL,
    kernel_class TEXT NOT NULL,
    PRIMARY KEY (node, backend)
);

-- A lease: some units of one 256-unit word of a job, for one node, until expires_at. It becomes at
-- most one lot.
-- state: active, accepted, expired, failed.
CREATE TABLE leases (
    lease_id TEXT NOT NULL PRIMARY KEY,
    job_id BYTEA NOT NULL,
    node BYTEA NOT NULL,
    state TEXT NOT NULL,
    taken_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    problem TEXT
);
CREATE INDEX leases_by_state ON leases (state, expires_at);
CREATE INDEX leases_by_job ON leases (job_id);

-- Attempts at units, one row each; its state is that of its lease and of its lot. progress:
-- thousandths rendered. problem: why this unit failed.
CREATE TABLE attempts (
    job_id BYTEA NOT NULL,
    unit BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    lease_id TEXT NOT NULL REFERENCES leases (lease_id),
    progress BIGINT NOT NULL,
    problem TEXT,
    PRIMARY KEY (job_id, unit, attempt)
);
CREATE INDEX attempts_by_lease ON attempts (lease_id);

-- Receipts of accepted attempts with the hashes inside them, and where the files are (objects by
-- keccak256).
CREATE TABLE receipts (
    job_id BYTEA NOT NULL,
    unit BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    node BYTEA NOT NULL,
    output_hash BYTEA NOT NULL,
    preview_hash BYTEA NOT NULL,
    key_commit BYTEA NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    signature BYTEA NOT NULL,
    lot_hash BYTEA NOT NULL,
    pixel_root BYTEA NOT NULL,
    file_root BYTEA NOT NULL,
    file_name TEXT NOT NULL,
    opened_hash BYTEA NOT NULL,
    stored_hash BYTEA NOT NULL,
    stored_size BIGINT NOT NULL,
    preview_object BYTEA NOT NULL,
    PRIMARY KEY (job_id, unit, attempt),
    FOREIGN KEY (job_id, unit, attempt) REFERENCES attempts (job_id, unit, attempt)
);
CREATE INDEX receipts_by_lot ON receipts (lot_hash);

-- Lots the settler accepted, with its signed Acceptance; lot_key is sealed at rest under the
-- settler's key.
CREATE TABLE lot_drafts (
    lot_hash BYTEA NOT NULL PRIMARY KEY,
    job_id BYTEA NOT NULL,
    lease_id TEXT NOT NULL UNIQUE REFERENCES leases (lease_id),
    node BYTEA NOT NULL,
    word BIGINT NOT NULL,
    mask BYTEA NOT NULL,
    unit_price TEXT NOT NULL,
    receipts_root BYTEA NOT NULL,
    key_commit BYTEA NOT NULL,
    acceptance BYTEA NOT NULL,
    lot_key BYTEA,
    accepted_at BIGINT NOT NULL
);
CREATE INDEX lot_drafts_by_job ON lot_drafts (job_id);

-- Intents to change the chain: stored before anything is sent. subject: the lot hash, lots hash or
-- job id acted on.
-- state: waiting (not signed yet), unknown (signed, maybe sent), done (the index shows the effect),
-- parked (needs a person; see problem).
CREATE TABLE outbox (
    intent_id BIGINT NOT NULL PRIMARY KEY,
    action TEXT NOT NULL,
    job_id BYTEA NOT NULL,
    subject BYTEA NOT NULL,
    calldata BYTEA NOT NULL,
    state TEXT NOT NULL,
    problem TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (action, job_id, subject)
);
CREATE INDEX outbox_by_state ON outbox (state, intent_id);

-- Every transaction ever signed for an intent, stored before its first byte is sent.
CREATE TABLE outbox_transactions (
    tx_hash BYTEA NOT NULL PRIMARY KEY,
    intent_id BIGINT NOT NULL REFERENCES outbox (intent_id),
    sender BYTEA NOT NULL,
    nonce BIGINT NOT NULL,
    raw BYTEA NOT NULL,
    max_fee TEXT NOT NULL,
    signed_at BIGINT NOT NULL
);
CREATE INDEX outbox_transactions_by_nonce ON outbox_transactions (sender, nonce);
CREATE INDEX outbox_transactions_by_intent ON outbox_transactions (intent_id);
