-- Credit, delegates, offices and vouchers in what the chain said: written by the indexer alone.

-- credit: the account's credit afterwards. spent: what an opening took of it. party: a third one
-- named, a delegate's settler or the payer whose delegate spent. The offices' number is in seq.
ALTER TABLE events ADD COLUMN credit TEXT;
ALTER TABLE events ADD COLUMN spent TEXT;
ALTER TABLE events ADD COLUMN allowance TEXT;
ALTER TABLE events ADD COLUMN max_per_job TEXT;
ALTER TABLE events ADD COLUMN party BYTEA;

-- Nobody had credit before there was any.
ALTER TABLE account_states ADD COLUMN credit TEXT NOT NULL
    DEFAULT '00000000000000000000000000000';
-- How much of funded came as credit, which is spent first.
ALTER TABLE job_states ADD COLUMN credit_share TEXT NOT NULL
    DEFAULT '00000000000000000000000000000';

-- A delegate's bounds after an event; all zero once it was revoked.
CREATE TABLE delegate_states (
    payer BYTEA NOT NULL,
    agent BYTEA NOT NULL,
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    settler BYTEA NOT NULL,
    allowance TEXT NOT NULL,
    max_per_job TEXT NOT NULL,
    expiry BIGINT NOT NULL,
    PRIMARY KEY (payer, agent, block, log_index)
);
CREATE INDEX delegate_states_by_block ON delegate_states (block);

-- What issuer and guardian said last: the settler that takes credit (zero: none), the end of the
-- last pause (0: never), the number of their events.
CREATE TABLE office_states (
    block BIGINT NOT NULL REFERENCES blocks (block) ON DELETE CASCADE,
    log_index BIGINT NOT NULL,
    credit_settler BYTEA NOT NULL,
    paused_until BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (block, log_index)
);
