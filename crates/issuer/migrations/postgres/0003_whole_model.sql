-- The whole data model, as migrations/sqlite has it after its step 3: this engine came later. A test
-- compares the two. Times are seconds since the epoch; secrets are stored as SHA-256 digests only.
--
-- issuer_id is for several issuers in one database; today everything belongs to issuer 1.

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT,
    password_hash TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    issuer_id     BIGINT NOT NULL DEFAULT 1,
    name_key      TEXT NOT NULL DEFAULT '',
    claims        TEXT NOT NULL DEFAULT '{}',
    disabled_at   BIGINT
);
CREATE UNIQUE INDEX users_name ON users (issuer_id, name_key);

CREATE TABLE sessions (
    id_hash    BYTEA PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    auth_time  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    issuer_id  BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX sessions_expire ON sessions (expires_at);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE signing_keys (
    kid            TEXT PRIMARY KEY,
    issuer_id      BIGINT NOT NULL DEFAULT 1,
    alg            TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retiring', 'revoked')),
    public_jwk     TEXT NOT NULL,
    private_sealed BYTEA NOT NULL,
    -- Which sealing key opens it.
    sealed_by      TEXT NOT NULL DEFAULT '',
    created_at     BIGINT NOT NULL,
    sign_from      BIGINT NOT NULL,
    sign_until     BIGINT NOT NULL,
    -- When it leaves the key set; known once it retires.
    drop_at        BIGINT
);
CREATE UNIQUE INDEX one_pending_key ON signing_keys (issuer_id, alg) WHERE state = 'pending';
CREATE UNIQUE INDEX one_active_key ON signing_keys (issuer_id, alg) WHERE state = 'active';

CREATE TABLE resources (
    uri            TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    is_default     BOOLEAN NOT NULL DEFAULT FALSE,
    created_at     BIGINT NOT NULL,
    issuer_id      BIGINT NOT NULL DEFAULT 1,
    position       BIGINT NOT NULL DEFAULT 0,
    token_lifetime BIGINT,
    token_alg      TEXT
);
CREATE UNIQUE INDEX one_default_resource ON resources (is_default) WHERE is_default;

CREATE TABLE resource_aliases (
    alias    TEXT PRIMARY KEY,
    resource TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE
);

CREATE TABLE scopes (
    resource    TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    position    BIGINT NOT NULL,
    implies     TEXT NOT NULL DEFAULT '',
    sensitive   BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (resource, name)
);

-- Which scopes a tool of the MCP server needs; a name may end in *.
CREATE TABLE resource_tools (
    resource TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    tool     TEXT NOT NULL,
    scopes   TEXT NOT NULL,
    PRIMARY KEY (resource, tool)
);

CREATE TABLE clients (
    id                      TEXT PRIMARY KEY,
    issuer_id               BIGINT NOT NULL DEFAULT 1,
    kind                    TEXT NOT NULL
                            CHECK (kind IN ('static', 'registered', 'cimd', 'service')),
    name                    TEXT NOT NULL,
    redirect_uris           TEXT NOT NULL,
    grant_types             TEXT NOT NULL,
    auth_method             TEXT NOT NULL,
    -- Two, so that a secret can be changed while the old one still works.
    secret_hash             BYTEA,
    previous_secret_hash    BYTEA,
    -- What else was registered (RFC 7591 §2), as a JSON object, and a digest of all of it.
    metadata                TEXT NOT NULL DEFAULT '{}',
    metadata_hash           BYTEA,
    jwks                    TEXT,
    jwks_uri                TEXT,
    registration_token_hash BYTEA,
    default_resource        TEXT,
    created_at              BIGINT NOT NULL,
    last_used_at            BIGINT,
    expires_at              BIGINT,
    disabled_at             BIGINT,
    -- Grants from before are worth nothing.
    not_before              BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX clients_registered ON clients (created_at) WHERE kind = 'registered';

-- Client ID Metadata Documents.
CREATE TABLE client_documents (
    url         TEXT PRIMARY KEY,
    body        TEXT NOT NULL,
    sha256      BYTEA NOT NULL,
    etag        TEXT,
    pinned      BOOLEAN NOT NULL DEFAULT FALSE,
    fetched_at  BIGINT NOT NULL,
    fresh_until BIGINT NOT NULL,
    last_error  TEXT
);

-- For registration by those who were given one (RFC 7591 §3).
CREATE TABLE initial_access_tokens (
    hash       BYTEA PRIMARY KEY,
    issuer_id  BIGINT NOT NULL DEFAULT 1,
    name       TEXT NOT NULL,
    uses_left  BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX initial_access_tokens_expire ON initial_access_tokens (expires_at);

CREATE TABLE interactions (
    id_hash      BYTEA PRIMARY KEY,
    browser_hash BYTEA NOT NULL,
    request      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX interactions_expire ON interactions (expires_at);

-- PAR (RFC 9126).
CREATE TABLE pushed_requests (
    hash       BYTEA PRIMARY KEY,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    request    TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pushed_requests_expire ON pushed_requests (expires_at);

CREATE TABLE consents (
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id     TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource      TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    redirect_uri  TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    granted_at    BIGINT NOT NULL,
    metadata_hash BYTEA,
    last_used_at  BIGINT,
    PRIMARY KEY (user_id, client_id, resource, redirect_uri)
);
CREATE INDEX consents_client ON consents (client_id);

CREATE TABLE grants (
    id           TEXT PRIMARY KEY,
    issuer_id    BIGINT NOT NULL DEFAULT 1,
    -- NULL: the client acts for itself.
    user_id      TEXT REFERENCES users (id) ON DELETE CASCADE,
    client_id    TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource     TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    scopes       TEXT NOT NULL,
    redirect_uri TEXT,
    nonce        TEXT,
    -- The key that tokens are bound to (RFC 7800), as JSON.
    cnf          TEXT,
    auth_time    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    reason       TEXT
);
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_created ON grants (created_at);
CREATE INDEX grants_user ON grants (user_id);

CREATE TABLE auth_codes (
    hash         BYTEA PRIMARY KEY,
    grant_id     TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    client_id    TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    consumed_at  BIGINT,
    dpop_jkt     TEXT
);
CREATE INDEX auth_codes_expire ON auth_codes (expires_at);
CREATE INDEX auth_codes_grant ON auth_codes (grant_id);

-- RFC 8628. The code of the device and the one that a person types, both as digests.
CREATE TABLE device_codes (
    hash           BYTEA PRIMARY KEY,
    user_code_hash BYTEA NOT NULL UNIQUE,
    client_id      TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource       TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    scopes         TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'allowed', 'denied', 'consumed')),
    grant_id       TEXT REFERENCES grants (id) ON DELETE CASCADE,
    dpop_jkt       TEXT,
    poll_interval  BIGINT NOT NULL,
    polled_at      BIGINT,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX device_codes_expire ON device_codes (expires_at);
CREATE INDEX device_codes_grant ON device_codes (grant_id);

CREATE TABLE refresh_tokens (
    hash              BYTEA PRIMARY KEY,
    grant_id          TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    issued_at         BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    rotated_at        BIGINT,
    successor_hash    BYTEA,
    successor_sealed  BYTEA,
    status_list       TEXT,
    status_index      BIGINT,
    access_expires_at BIGINT
);
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_expire ON refresh_tokens (expires_at);

-- The same for access tokens that came without a refresh token.
CREATE TABLE issued_tokens (
    status_list  TEXT NOT NULL,
    status_index BIGINT NOT NULL,
    jti          TEXT NOT NULL,
    client_id    TEXT NOT NULL,
    user_id      TEXT,
    grant_id     TEXT,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (status_list, status_index)
);
CREATE INDEX issued_tokens_expire ON issued_tokens (expires_at);
CREATE INDEX issued_tokens_client ON issued_tokens (client_id);
CREATE INDEX issued_tokens_grant ON issued_tokens (grant_id);
CREATE INDEX issued_tokens_user ON issued_tokens (user_id);

-- Token Status Lists: one a window of expiry; dropped when the last token in it is over.
CREATE TABLE status_lists (
    id                 TEXT PRIMARY KEY,
    issuer_id          BIGINT NOT NULL DEFAULT 1,
    size               BIGINT NOT NULL,
    next_index         BIGINT NOT NULL DEFAULT 0,
    -- Index = a permutation under this key, so that volume and order stay hidden.
    permutation_sealed BYTEA NOT NULL,
    sealed_by          TEXT NOT NULL,
    version            BIGINT NOT NULL DEFAULT 1,
    bits               BYTEA NOT NULL,
    created_at         BIGINT NOT NULL,
    closes_at          BIGINT NOT NULL,
    drop_at            BIGINT NOT NULL
);
CREATE INDEX status_lists_drop ON status_lists (drop_at);

-- Blocks of indices that a node took; what it did not use is never used.
CREATE TABLE status_leases (
    status_list TEXT NOT NULL REFERENCES status_lists (id) ON DELETE CASCADE,
    start       BIGINT NOT NULL,
    length      BIGINT NOT NULL,
    node        TEXT NOT NULL,
    leased_at   BIGINT NOT NULL,
    PRIMARY KEY (status_list, start)
);

-- What was revoked, in order. seq comes from counters, so that it has no gaps and nobody who reads
-- on from a number misses a later one.
CREATE TABLE revocation_log (
    seq        BIGINT PRIMARY KEY,
    issuer_id  BIGINT NOT NULL DEFAULT 1,
    kind       TEXT NOT NULL CHECK (kind IN ('grant', 'user', 'client', 'token', 'key')),
    ref        TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    revoked_by TEXT NOT NULL,
    reason     TEXT NOT NULL
);
CREATE INDEX revocation_log_revoked ON revocation_log (revoked_at);

-- What may come once: identifiers of assertions and proofs.
CREATE TABLE jti_seen (
    kind       TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    jti        TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, issuer, jti)
);
CREATE INDEX jti_seen_expire ON jti_seen (expires_at);

-- Jobs that one node does at a time.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Numbers that only grow.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('key_set', 1), ('revocations', 0);
