-- What a client asks to be held to: tokens bound to its key (RFC 9449 §5.2), signed requests (RFC 9101
-- §10.5).
ALTER TABLE clients ADD COLUMN dpop_bound INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN signed_requests INTEGER NOT NULL DEFAULT 0;

-- Those that nobody uses are looked for.
CREATE INDEX clients_documents ON clients (created_at) WHERE kind = 'cimd';
