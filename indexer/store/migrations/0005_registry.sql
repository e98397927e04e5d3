-- Bonds of nodes in what the chain said: written by the indexer alone.

-- The node registry that this store follows beside the escrow, fixed at first start; NULL: none.
ALTER TABLE escrows ADD COLUMN registry BYTEA;

-- One typed row per event of the registry, in all its fields; columns a kind lacks are NULL.
-- account: the other one named: owner, whose tokens, to whom, or the reporter.
-- bonded, unbonding: what remains afterwards. at: from when unbonding money can be withdrawn.
-- seq: the number of the node's events so far. The receipts of a slash are in registry_receipts.
CREATE TABLE registry_events (
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    tx_hash BYTEA NOT NULL,
    kind TEXT NOT NULL,
    signer BYTEA NOT NULL,
    account BYTEA,
    payout BYTEA,
    capabilities_hash BYTEA,
    job_id BYTEA,
    amount TEXT,
    bonded TEXT,
    unbonding TEXT,
    burned TEXT,
    rewarded TEXT,
    at BIGINT,
    seq BIGINT NOT NULL,
    PRIMARY KEY (block, log_index)
);
CREATE INDEX registry_events_by_signer ON registry_events (signer, block, log_index);

-- The two receipts of a slash, place 1 and 2, with the signer's word under each.
CREATE TABLE registry_receipts (
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    place BIGINT NOT NULL,
    job_id BYTEA NOT NULL,
    unit BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    output_hash BYTEA NOT NULL,
    preview_hash BYTEA NOT NULL,
    key_commit BYTEA NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    signature BYTEA NOT NULL,
    PRIMARY KEY (block, log_index, place)
);

-- Snapshots: a node after an event of its own; the newest is true, nothing is updated.
-- unbond_at: 0 before the first request. slashed is 0 or 1.
CREATE TABLE bond_states (
    signer BYTEA NOT NULL,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    owner BYTEA NOT NULL,
    payout BYTEA NOT NULL,
    capabilities_hash BYTEA NOT NULL,
    bonded TEXT NOT NULL,
    unbonding TEXT NOT NULL,
    unbond_at BIGINT NOT NULL,
    slashed BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (signer, block, log_index)
);
CREATE INDEX bond_states_by_block ON bond_states (block);
