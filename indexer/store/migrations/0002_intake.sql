-- What payers and callers handed in: written by the API alone.
-- Nothing here says funded, paid or refunded.

-- Expanded job specs in canonical JSON (RFC 8785) by their keccak256.
CREATE TABLE specs (
    spec_hash BYTEA NOT NULL PRIMARY KEY,
    canonical TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Quotes in canonical JSON by their keccak256: the preimage of an order's quoteHash.
CREATE TABLE quotes (
    quote_hash BYTEA NOT NULL PRIMARY KEY,
    spec_hash BYTEA NOT NULL REFERENCES specs (spec_hash),
    canonical TEXT NOT NULL,
    unit_price TEXT NOT NULL,
    cap TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Scenes by the keccak256 of their manifest; the files are objects by hash.
CREATE TABLE scenes (
    scene_id BYTEA NOT NULL PRIMARY KEY,
    manifest TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Orders handed in with a signature to relay, or claimed as already opened on chain (signature
-- NULL).
-- Terms in the columns of job_orders.
CREATE TABLE orders (
    job_id BYTEA NOT NULL PRIMARY KEY,
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
    signature BYTEA,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX orders_by_open_by ON orders (open_by);

-- Payer-side approvals: one signature over an array of lots.
CREATE TABLE approvals (
    lots_hash BYTEA NOT NULL PRIMARY KEY,
    job_id BYTEA NOT NULL,
    signer BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
-- The lots under an approval's signature, in the order signed.
CREATE TABLE approval_lots (
    lots_hash BYTEA NOT NULL REFERENCES approvals (lots_hash),
    place BIGINT NOT NULL,
    lot_hash BYTEA NOT NULL,
    PRIMARY KEY (lots_hash, place)
);
CREATE INDEX approvals_by_job ON approvals (job_id);

-- Payer-side rejections, one for each lot and set of units.
CREATE TABLE rejections (
    lot_hash BYTEA NOT NULL,
    mask BYTEA NOT NULL,
    job_id BYTEA NOT NULL,
    reason_hash BYTEA NOT NULL,
    reason TEXT NOT NULL,
    signer BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (lot_hash, mask)
);
CREATE INDEX rejections_by_job ON rejections (job_id);

-- Payer-side requests to close, to be relayed.
CREATE TABLE close_requests (
    job_id BYTEA NOT NULL PRIMARY KEY,
    signer BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
