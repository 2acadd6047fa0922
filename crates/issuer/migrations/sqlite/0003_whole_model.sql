-- The whole data model. migrations/postgres/0003_whole_model.sql is the same from nothing; a test
-- compares the two. Foreign keys are off while this runs, since SQLite can change a constraint only
-- by making the table anew.
--
-- issuer_id is for several issuers in one database; today everything belongs to issuer 1.

ALTER TABLE users ADD COLUMN issuer_id INTEGER NOT NULL DEFAULT 1;
-- The name as it is compared: ASCII letters in lower case.
ALTER TABLE users ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
-- Further claims for tokens, as a JSON object.
ALTER TABLE users ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';
ALTER TABLE users ADD COLUMN disabled_at INTEGER;
UPDATE users SET name_key = lower(name);
CREATE UNIQUE INDEX users_name ON users (issuer_id, name_key);

ALTER TABLE sessions ADD COLUMN issuer_id INTEGER NOT NULL DEFAULT 1;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE new_signing_keys (
    kid            TEXT PRIMARY KEY,
    issuer_id      INTEGER NOT NULL DEFAULT 1,
    alg            TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retiring', 'revoked')),
    public_jwk     TEXT NOT NULL,
    private_sealed BLOB NOT NULL,
    -- Which sealing key opens it.
    sealed_by      TEXT NOT NULL DEFAULT '',
    created_at     INTEGER NOT NULL,
    sign_from      INTEGER NOT NULL,
    sign_until     INTEGER NOT NULL,
    -- When it leaves the key set; known once it retires.
    drop_at        INTEGER
);
INSERT INTO new_signing_keys (kid, alg, state, public_jwk, private_sealed, created_at, sign_from,
                              sign_until, drop_at)
    SELECT kid, alg, state, public_jwk, private_sealed, created_at, created_at,
           created_at + 90 * 86400,
           CASE state WHEN 'active' THEN NULL ELSE created_at + 90 * 86400 END
    FROM signing_keys;
DROP TABLE signing_keys;
ALTER TABLE new_signing_keys RENAME TO signing_keys;
CREATE UNIQUE INDEX one_pending_key ON signing_keys (issuer_id, alg) WHERE state = 'pending';
CREATE UNIQUE INDEX one_active_key ON signing_keys (issuer_id, alg) WHERE state = 'active';

ALTER TABLE resources ADD COLUMN issuer_id INTEGER NOT NULL DEFAULT 1;
-- The order in which they were added.
ALTER TABLE resources ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN token_lifetime INTEGER;
ALTER TABLE resources ADD COLUMN token_alg TEXT;
UPDATE resources SET position = rowid;

ALTER TABLE scopes ADD COLUMN sensitive INTEGER NOT NULL DEFAULT 0;

-- Which scopes a tool of the MCP server needs; a name may end in *.
CREATE TABLE resource_tools (
    resource TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    tool     TEXT NOT NULL,
    scopes   TEXT NOT NULL,
    PRIMARY KEY (resource, tool)
);

CREATE TABLE new_clients (
    id                      TEXT PRIMARY KEY,
    issuer_id               INTEGER NOT NULL DEFAULT 1,
    kind                    TEXT NOT NULL
                            CHECK (kind IN ('static', 'registered', 'cimd', 'service')),
    name                    TEXT NOT NULL,
    redirect_uris           TEXT NOT NULL,
    grant_types             TEXT NOT NULL,
    auth_method             TEXT NOT NULL,
    -- Two, so that a secret can be changed while the old one still works.
    secret_hash             BLOB,
    previous_secret_hash    BLOB,
    -- What else was registered (RFC 7591 §2), as a JSON object, and a digest of all of it.
    metadata                TEXT NOT NULL DEFAULT '{}',
    metadata_hash           BLOB,
    jwks                    TEXT,
    jwks_uri                TEXT,
    registration_token_hash BLOB,
    default_resource        TEXT,
    created_at              INTEGER NOT NULL,
    last_used_at            INTEGER,
    expires_at              INTEGER,
    disabled_at             INTEGER,
    -- Grants from before are worth nothing.
    not_before              INTEGER NOT NULL DEFAULT 0
);
INSERT INTO new_clients (id, kind, name, redirect_uris, grant_types, auth_method, secret_hash,
                         created_at)
    SELECT id, kind, name, redirect_uris, grant_types, auth_method, secret_hash, created_at
    FROM clients;
DROP TABLE clients;
ALTER TABLE new_clients RENAME TO clients;
CREATE INDEX clients_registered ON clients (created_at) WHERE kind = 'registered';

-- Client ID Metadata Documents.
CREATE TABLE client_documents (
    url         TEXT PRIMARY KEY,
    body        TEXT NOT NULL,
    sha256      BLOB NOT NULL,
    etag        TEXT,
    pinned      INTEGER NOT NULL DEFAULT 0,
    fetched_at  INTEGER NOT NULL,
    fresh_until INTEGER NOT NULL,
    last_error  TEXT
);

-- For registration by those who were given one (RFC 7591 §3).
CREATE TABLE initial_access_tokens (
    hash       BLOB PRIMARY KEY,
    issuer_id  INTEGER NOT NULL DEFAULT 1,
    name       TEXT NOT NULL,
    uses_left  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX initial_access_tokens_expire ON initial_access_tokens (expires_at);

-- What the user saw when consenting; another digest asks again.
ALTER TABLE consents ADD COLUMN metadata_hash BLOB;
ALTER TABLE consents ADD COLUMN last_used_at INTEGER;
CREATE INDEX consents_client ON consents (client_id);

-- PAR (RFC 9126).
CREATE TABLE pushed_requests (
    hash       BLOB PRIMARY KEY,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    request    TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX pushed_requests_expire ON pushed_requests (expires_at);

-- RFC 8628. The code of the device and the one that a person types, both as digests.
CREATE TABLE device_codes (
    hash           BLOB PRIMARY KEY,
    user_code_hash BLOB NOT NULL UNIQUE,
    client_id      TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource       TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    scopes         TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'allowed', 'denied', 'consumed')),
    grant_id       TEXT REFERENCES grants (id) ON DELETE CASCADE,
    dpop_jkt       TEXT,
    poll_interval  INTEGER NOT NULL,
    polled_at      INTEGER,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL
);
CREATE INDEX device_codes_expire ON device_codes (expires_at);
CREATE INDEX device_codes_grant ON device_codes (grant_id);

CREATE TABLE new_grants (
    id           TEXT PRIMARY KEY,
    issuer_id    INTEGER NOT NULL DEFAULT 1,
    -- NULL: the client acts for itself.
    user_id      TEXT REFERENCES users (id) ON DELETE CASCADE,
    client_id    TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource     TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    scopes       TEXT NOT NULL,
    redirect_uri TEXT,
    nonce        TEXT,
    -- The key that tokens are bound to (RFC 7800), as JSON.
    cnf          TEXT,
    auth_time    INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    reason       TEXT
);
INSERT INTO new_grants (id, user_id, client_id, resource, scopes, nonce, auth_time, created_at,
                        revoked_at, reason)
    SELECT id, user_id, client_id, resource, scopes, nonce, auth_time, created_at, revoked_at,
           reason
    FROM grants;
DROP TABLE grants;
ALTER TABLE new_grants RENAME TO grants;
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_created ON grants (created_at);

ALTER TABLE auth_codes ADD COLUMN dpop_jkt TEXT;

-- Where the access token that came with it stands in a status list.
ALTER TABLE refresh_tokens ADD COLUMN status_list TEXT;
ALTER TABLE refresh_tokens ADD COLUMN status_index INTEGER;
ALTER TABLE refresh_tokens ADD COLUMN access_expires_at INTEGER;

-- The same for access tokens that came without a refresh token.
CREATE TABLE issued_tokens (
    status_list  TEXT NOT NULL,
    status_index INTEGER NOT NULL,
    jti          TEXT NOT NULL,
    client_id    TEXT NOT NULL,
    user_id      TEXT,
    grant_id     TEXT,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (status_list, status_index)
);
CREATE INDEX issued_tokens_expire ON issued_tokens (expires_at);
CREATE INDEX issued_tokens_client ON issued_tokens (client_id);
CREATE INDEX issued_tokens_grant ON issued_tokens (grant_id);
CREATE INDEX issued_tokens_user ON issued_tokens (user_id);

-- Token Status Lists: one a window of expiry; dropped when the last token in it is over.
CREATE TABLE status_lists (
    id                 TEXT PRIMARY KEY,
    issuer_id          INTEGER NOT NULL DEFAULT 1,
    size               INTEGER NOT NULL,
    next_index         INTEGER NOT NULL DEFAULT 0,
    -- Index = a permutation under this key, so that volume and order stay hidden.
    permutation_sealed BLOB NOT NULL,
    sealed_by          TEXT NOT NULL,
    version            INTEGER NOT NULL DEFAULT 1,
    bits               BLOB NOT NULL,
    created_at         INTEGER NOT NULL,
    closes_at          INTEGER NOT NULL,
    drop_at            INTEGER NOT NULL
);
CREATE INDEX status_lists_drop ON status_lists (drop_at);

-- Blocks of indices that a node took; what it did not use is never used.
CREATE TABLE status_leases (
    status_list TEXT NOT NULL REFERENCES status_lists (id) ON DELETE CASCADE,
    start       INTEGER NOT NULL,
    length      INTEGER NOT NULL,
    node        TEXT NOT NULL,
    leased_at   INTEGER NOT NULL,
    PRIMARY KEY (status_list, start)
);

-- What was revoked, in order. seq comes from counters, so that it has no gaps and nobody who reads
-- on from a number misses a later one.
CREATE TABLE revocation_log (
    seq        INTEGER PRIMARY KEY,
    issuer_id  INTEGER NOT NULL DEFAULT 1,
    kind       TEXT NOT NULL CHECK (kind IN ('grant', 'user', 'client', 'token', 'key')),
    ref        TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    revoked_by TEXT NOT NULL,
    reason     TEXT NOT NULL
);
CREATE INDEX revocation_log_revoked ON revocation_log (revoked_at);

-- What may come once: identifiers of assertions and proofs.
CREATE TABLE jti_seen (
    kind       TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    jti        TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (kind, issuer, jti)
);
CREATE INDEX jti_seen_expire ON jti_seen (expires_at);

-- Jobs that one node does at a time.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);

-- Numbers that only grow.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO counters (name, value) VALUES ('key_set', 1), ('revocations', 0);
