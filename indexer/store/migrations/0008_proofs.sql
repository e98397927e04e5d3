-- Blocks taken on a server's word: few or none, and asked for before every payment.
CREATE INDEX blocks_unproven ON blocks (block) WHERE verified = 'logs_only';
