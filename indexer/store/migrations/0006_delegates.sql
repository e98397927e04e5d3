-- Whose signature an order to relay bears, when it is not its payer's own: a delegate's.
ALTER TABLE orders ADD COLUMN delegate BYTEA;
