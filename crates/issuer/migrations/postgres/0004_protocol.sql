-- What the protocol needs beyond the model: clients that act for themselves or are the server of a
-- resource, and blocks of places that belong to one client.

CREATE TABLE client_resources (
    client_id   TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource    TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    -- What it may have there for itself (client_credentials), separated by spaces.
    scopes      TEXT NOT NULL,
    -- Whether it may introspect tokens for the resource, as its server.
    introspects BOOLEAN NOT NULL,
    PRIMARY KEY (client_id, resource)
);
CREATE INDEX client_resources_resource ON client_resources (resource);

-- NULL: tokens of grants, which have rows of their own.
ALTER TABLE status_leases ADD COLUMN client_id TEXT;
ALTER TABLE status_leases ADD COLUMN revoked_at BIGINT;
CREATE INDEX status_leases_client ON status_leases (client_id);

-- Every access token of a grant is in issued_tokens, and is found by its grant.
ALTER TABLE refresh_tokens DROP COLUMN status_list;
ALTER TABLE refresh_tokens DROP COLUMN status_index;
ALTER TABLE refresh_tokens DROP COLUMN access_expires_at;
DROP INDEX issued_tokens_client;
DROP INDEX issued_tokens_user;
