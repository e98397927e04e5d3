-- Rows of what the chain said, keyed by their place in it: block and log index. New rows are then
-- the last ones of their table, where a key of hashes would spread them over all its pages. What
-- finds rows by account, job or lot are indexes beside it.

-- The order of each opened job, as its Opened event emitted it.
CREATE TABLE job_orders_placed (
    job_id BYTEA NOT NULL,
    block BIGINT NOT NULL CONSTRAINT job_orders_block REFERENCES blocks (block) ON DELETE CASCADE,
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
    salt BYTEA NOT NULL,
    PRIMARY KEY (block, job_id)
);
INSERT INTO job_orders_placed (job_id, block, payer, refund_to, approver, settler, fee_receiver,
    cap, max_unit_price, units, open_by, work_deadline, review_seconds, claim_grace, fee_bps,
    burn_bps, spec_hash, quote_hash, salt)
SELECT job_id, block, payer, refund_to, approver, settler, fee_receiver, cap, max_unit_price,
    units, open_by, work_deadline, review_seconds, claim_grace, fee_bps, burn_bps, spec_hash,
    quote_hash, salt
FROM job_orders ORDER BY block, job_id;
DROP TABLE job_orders;
ALTER TABLE job_orders_placed RENAME TO job_orders;
CREATE UNIQUE INDEX job_orders_by_id ON job_orders (job_id);
CREATE INDEX job_orders_by_payer ON job_orders (payer, block, job_id);
CREATE INDEX job_orders_by_settler ON job_orders (settler);

-- Each lot seen in a Released or Committed event: its preimage.
CREATE TABLE lots_placed (
    lot_hash BYTEA NOT NULL,
    block BIGINT NOT NULL CONSTRAINT lots_block REFERENCES blocks (block) ON DELETE CASCADE,
    job_id BYTEA NOT NULL,
    node BYTEA NOT NULL,
    word BIGINT NOT NULL,
    mask BYTEA NOT NULL,
    unit_price TEXT NOT NULL,
    receipts_root BYTEA NOT NULL,
    key_commit BYTEA NOT NULL,
    PRIMARY KEY (block, lot_hash)
);
INSERT INTO lots_placed (lot_hash, block, job_id, node, word, mask, unit_price, receipts_root,
    key_commit)
SELECT lot_hash, block, job_id, node, word, mask, unit_price, receipts_root, key_commit
FROM lots ORDER BY block, lot_hash;
DROP TABLE lots;
ALTER TABLE lots_placed RENAME TO lots;
CREATE UNIQUE INDEX lots_by_hash ON lots (lot_hash);
CREATE INDEX lots_by_job ON lots (job_id);
CREATE INDEX lots_by_node ON lots (node);

-- Snapshots: an account, job, lot, delegate or bond after an event; the newest is true, nothing is
-- updated. Below finalized there may be one for several events: of the last of them.
CREATE TABLE account_states_placed (
    account BYTEA NOT NULL,
    block BIGINT NOT NULL
        CONSTRAINT account_states_block REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    free TEXT NOT NULL,
    credit TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (block, log_index)
);
INSERT INTO account_states_placed (account, block, log_index, free, credit, seq)
SELECT account, block, log_index, free, credit, seq FROM account_states ORDER BY block, log_index;
DROP TABLE account_states;
ALTER TABLE account_states_placed RENAME TO account_states;
CREATE INDEX account_states_by_account ON account_states (account, block, log_index);

-- A job's money after an event. work_deadline: the order's, or the earlier one that a close request
-- put in its place; close_requested is 0 or 1. credit_share: how much of funded came as credit.
CREATE TABLE job_states_placed (
    job_id BYTEA NOT NULL,
    block BIGINT NOT NULL CONSTRAINT job_states_block REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    funded TEXT NOT NULL,
    released TEXT NOT NULL,
    pending TEXT NOT NULL,
    units_paid BIGINT NOT NULL,
    job_seq BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    work_deadline BIGINT NOT NULL,
    close_requested BIGINT NOT NULL,
    credit_share TEXT NOT NULL,
    PRIMARY KEY (block, log_index)
);
INSERT INTO job_states_placed (job_id, block, log_index, funded, released, pending, units_paid,
    job_seq, closed, work_deadline, close_requested, credit_share)
SELECT job_id, block, log_index, funded, released, pending, units_paid, job_seq, closed,
    work_deadline, close_requested, credit_share
FROM job_states ORDER BY block, log_index;
DROP TABLE job_states;
ALTER TABLE job_states_placed RENAME TO job_states;
CREATE INDEX job_states_by_job ON job_states (job_id, block, log_index);

-- A lot after an event. status: committed, approved, settled, lapsed or released. lot_key: the key
-- that settle revealed.
CREATE TABLE lot_states_placed (
    lot_hash BYTEA NOT NULL,
    block BIGINT NOT NULL CONSTRAINT lot_states_block REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    status TEXT NOT NULL,
    window_end BIGINT NOT NULL,
    rejected BYTEA NOT NULL,
    paid BYTEA NOT NULL,
    lot_key BYTEA,
    PRIMARY KEY (block, log_index)
);
INSERT INTO lot_states_placed (lot_hash, block, log_index, status, window_end, rejected, paid,
    lot_key)
SELECT lot_hash, block, log_index, status, window_end, rejected, paid, lot_key
FROM lot_states ORDER BY block, log_index;
DROP TABLE lot_states;
ALTER TABLE lot_states_placed RENAME TO lot_states;
CREATE INDEX lot_states_by_lot ON lot_states (lot_hash, block, log_index);

-- A delegate's bounds after an event; all zero once it was revoked.
CREATE TABLE delegate_states_placed (
    payer BYTEA NOT NULL,
    agent BYTEA NOT NULL,
    block BIGINT NOT NULL
        CONSTRAINT delegate_states_block REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    settler BYTEA NOT NULL,
    allowance TEXT NOT NULL,
    max_per_job TEXT NOT NULL,
    expiry BIGINT NOT NULL,
    PRIMARY KEY (block, log_index)
);
INSERT INTO delegate_states_placed (payer, agent, block, log_index, settler, allowance,
    max_per_job, expiry)
SELECT payer, agent, block, log_index, settler, allowance, max_per_job, expiry
FROM delegate_states ORDER BY block, log_index;
DROP TABLE delegate_states;
ALTER TABLE delegate_states_placed RENAME TO delegate_states;
CREATE INDEX delegate_states_by_agent ON delegate_states (payer, agent, block, log_index);

-- A node's bond after an event of its own. unbond_at: 0 before the first request. slashed: 0 or 1.
CREATE TABLE bond_states_placed (
    signer BYTEA NOT NULL,
    block BIGINT NOT NULL CONSTRAINT bond_states_block REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    owner BYTEA NOT NULL,
    payout BYTEA NOT NULL,
    capabilities_hash BYTEA NOT NULL,
    bonded TEXT NOT NULL,
    unbonding TEXT NOT NULL,
    unbond_at BIGINT NOT NULL,
    slashed BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (block, log_index)
);
INSERT INTO bond_states_placed (signer, block, log_index, owner, payout, capabilities_hash, bonded,
    unbonding, unbond_at, slashed, seq)
SELECT signer, block, log_index, owner, payout, capabilities_hash, bonded, unbonding, unbond_at,
    slashed, seq
FROM bond_states ORDER BY block, log_index;
DROP TABLE bond_states;
ALTER TABLE bond_states_placed RENAME TO bond_states;
CREATE INDEX bond_states_by_signer ON bond_states (signer, block, log_index);

-- What the first load of a fresh database left out and makes at its end: indexes and, on Postgres,
-- foreign keys. Readers see no block while there are rows here.
CREATE TABLE load_rest (
    name TEXT NOT NULL PRIMARY KEY,
    make TEXT NOT NULL
);
