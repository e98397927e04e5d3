-- What payers and callers handed in: written by the API alone. Nothing here says funded, paid or refunded.

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

-- Orders handed in with a signature to relay, or claimed as already opened on chain (signature NULL).
CREATE TABLE orders (
    job_id BYTEA NOT NULL PRIMARY KEY,
    order_json TEXT NOT NULL,
    signature BYTEA,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Payer-side approvals: one signature over an array of lots.
CREATE TABLE approvals (
    lots_hash BYTEA NOT NULL PRIMARY KEY,
    job_id BYTEA NOT NULL,
    signer BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE approval_lots (
    lots_hash BYTEA NOT NULL REFERENCES approvals (lots_hash),
    place BIGINT NOT NULL,
    lot_hash BYTEA NOT NULL,
    PRIMARY KEY (lots_hash, place)
);
CREATE INDEX approval_lots_by_lot ON approval_lots (lot_hash);

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

-- Payer-side requests to close, to be relayed.
CREATE TABLE close_requests (
    job_id BYTEA NOT NULL PRIMARY KEY,
    signer BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
