-- Indexes of the history's pages: each filter by itself reads no more rows than its page has.
CREATE INDEX events_by_kind ON events (kind, block, log_index);
-- The only event of a lot that names its node beside the account that is paid.
CREATE INDEX events_by_node ON events (counterparty, block, log_index) WHERE kind = 'committed';
CREATE INDEX registry_events_by_kind ON registry_events (kind, block, log_index);
CREATE INDEX registry_events_by_account ON registry_events (account, block, log_index);
CREATE INDEX registry_events_by_job ON registry_events (job_id, block, log_index)
    WHERE job_id IS NOT NULL;
