-- What a client asks to be held to: tokens bound to its key (RFC 9449 §5.2), signed requests (RFC 9101
-- §10.5).
ALTER TABLE clients ADD COLUMN dpop_bound BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE clients ADD COLUMN signed_requests BOOLEAN NOT NULL DEFAULT FALSE;

-- Those that nobody uses are looked for.
CREATE INDEX clients_documents ON clients (created_at) WHERE kind = 'cimd';
