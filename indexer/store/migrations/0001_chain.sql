-- What the chain said: written by the indexer alone.
-- Every row hangs from its block, so a rewind is one DELETE.

-- The one escrow this store follows, fixed at first start.
CREATE TABLE escrows (
    address BYTEA NOT NULL PRIMARY KEY,
    chain_id BIGINT NOT NULL,
    genesis_hash BYTEA NOT NULL,
    token BYTEA NOT NULL,
    symbol TEXT NOT NULL,
    decimals BIGINT NOT NULL,
    deploy_block BIGINT NOT NULL
);

-- Canonical blocks; the newest row is the cursor. Sparse below finalized, dense above it.
-- digest: running digest d[n] = keccak(d[n-1] || block hash || log leaves), only moved by blocks
-- that hold events of ours.
-- verified: how the block's logs were proven: bloom, receipts or logs_only.
CREATE TABLE blocks (
    block BIGINT NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL,
    parent_hash BYTEA NOT NULL,
    mined_at BIGINT NOT NULL,
    verified TEXT NOT NULL,
    digest BYTEA NOT NULL
);

-- The chain's own heads as last seen: tag is latest, safe or finalized.
CREATE TABLE heads (
    tag TEXT NOT NULL PRIMARY KEY,
    block BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    seen_at BIGINT NOT NULL
);

-- One typed row per event of the escrow, in all its fields; columns an event kind lacks are NULL.
-- account: whose free balance the event moves; free and seq are that account's afterwards.
-- counterparty: the other one named.
-- at: window end or work deadline. hash: reason hash or revealed key.
-- Amounts are base units padded to 29 digits, masks and hashes 32 bytes. The order of an Opened
-- event is in job_orders.
CREATE TABLE events (
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    tx_hash BYTEA NOT NULL,
    kind TEXT NOT NULL,
    job_id BYTEA,
    account BYTEA,
    counterparty BYTEA,
    lot_hash BYTEA,
    amount TEXT,
    fee TEXT,
    burn TEXT,
    free TEXT,
    seq BIGINT,
    funded TEXT,
    released TEXT,
    pending TEXT,
    job_seq BIGINT,
    mask BYTEA,
    at BIGINT,
    approved BIGINT,
    hash BYTEA,
    PRIMARY KEY (block, log_index)
);
CREATE INDEX events_by_job ON events (job_id, block, log_index);
CREATE INDEX events_by_account ON events (account, block, log_index);

-- The order of each opened job, as its Opened event emitted it.
CREATE TABLE job_orders (
    job_id BYTEA NOT NULL PRIMARY KEY,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    payer BYTEA NOT NULL,
    refund_to BYTEA NOT NULL,
    approver BYTEA NOT NULL,
    settler BYTEA NOT NULL,
    fee_receiver BYTEA NOT NULL,
    cap TEXT NOT NULL,
    max_unit_price TEXT NOT NULL,
    units BIGINT NOT NULL,
    open_by BIGINT NOT NULL,
    work_deadline BIGINT NOT NULL,
    review_seconds BIGINT NOT NULL,
    claim_grace BIGINT NOT NULL,
    fee_bps BIGINT NOT NULL,
    burn_bps BIGINT NOT NULL,
    spec_hash BYTEA NOT NULL,
    quote_hash BYTEA NOT NULL,
    salt BYTEA NOT NULL
);
CREATE INDEX job_orders_by_payer ON job_orders (payer, block, job_id);
CREATE INDEX job_orders_by_settler ON job_orders (settler);
CREATE INDEX job_orders_by_block ON job_orders (block, job_id);

-- Each lot seen in a Released or Committed event: its preimage.
CREATE TABLE lots (
    lot_hash BYTEA NOT NULL PRIMARY KEY,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    job_id BYTEA NOT NULL,
    node BYTEA NOT NULL,
    word BIGINT NOT NULL,
    mask BYTEA NOT NULL,
    unit_price TEXT NOT NULL,
    receipts_root BYTEA NOT NULL,
    key_commit BYTEA NOT NULL
);
CREATE INDEX lots_by_job ON lots (job_id);
CREATE INDEX lots_by_node ON lots (node);
CREATE INDEX lots_by_block ON lots (block);

-- Snapshots: an account, job or lot after an event; the newest is true, nothing is updated.
CREATE TABLE account_states (
    account BYTEA NOT NULL,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    free TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (account, block, log_index)
);
CREATE INDEX account_states_by_block ON account_states (block);

-- A job's money after an event. work_deadline: the order's, or the earlier one that a close request
-- put in its place; close_requested is 0 or 1.
CREATE TABLE job_states (
    job_id BYTEA NOT NULL,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    funded TEXT NOT NULL,
    released TEXT NOT NULL,
    pending TEXT NOT NULL,
    units_paid BIGINT NOT NULL,
    job_seq BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    work_deadline BIGINT NOT NULL,
    close_requested BIGINT NOT NULL,
    PRIMARY KEY (job_id, block, log_index)
);
CREATE INDEX job_states_by_block ON job_states (block);

-- A lot after an event. status: committed, approved, settled, lapsed or released. lot_key: the key
-- that settle revealed.
CREATE TABLE lot_states (
    lot_hash BYTEA NOT NULL,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    status TEXT NOT NULL,
    window_end BIGINT NOT NULL,
    rejected BYTEA NOT NULL,
    paid BYTEA NOT NULL,
    lot_key BYTEA,
    PRIMARY KEY (lot_hash, block, log_index)
);
CREATE INDEX lot_states_by_block ON lot_states (block);

-- Journal of reorgs; outlives the rewind it records.
CREATE TABLE reorgs (
    reorg_id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    fork_block BIGINT NOT NULL,
    fork_hash BYTEA NOT NULL,
    old_block BIGINT NOT NULL,
    old_hash BYTEA NOT NULL
);
