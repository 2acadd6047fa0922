-- Times are seconds since the epoch. Secrets are stored as SHA-256 digests only.

CREATE TABLE signing_keys (
    kid            TEXT PRIMARY KEY,
    alg            TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('active', 'retiring', 'revoked')),
    public_jwk     TEXT NOT NULL,
    private_sealed BLOB NOT NULL,
    created_at     INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_active_key ON signing_keys (alg) WHERE state = 'active';

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email         TEXT,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
);

CREATE TABLE sessions (
    id_hash    BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    auth_time  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX sessions_expire ON sessions (expires_at);

CREATE TABLE resources (
    uri        TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    is_default INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_default_resource ON resources (is_default) WHERE is_default = 1;

CREATE TABLE resource_aliases (
    alias    TEXT PRIMARY KEY,
    resource TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE
);

CREATE TABLE scopes (
    resource    TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    position    INTEGER NOT NULL,
    implies     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (resource, name)
);

CREATE TABLE clients (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL CHECK (kind IN ('static', 'registered')),
    name           TEXT NOT NULL,
    redirect_uris  TEXT NOT NULL,
    grant_types    TEXT NOT NULL,
    auth_method    TEXT NOT NULL,
    secret_hash    BLOB,
    created_at     INTEGER NOT NULL
);

CREATE TABLE interactions (
    id_hash      BLOB PRIMARY KEY,
    browser_hash BLOB NOT NULL,
    request      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
);
CREATE INDEX interactions_expire ON interactions (expires_at);

CREATE TABLE consents (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id    TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource     TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    granted_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id, resource, redirect_uri)
);

CREATE TABLE grants (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    resource   TEXT NOT NULL REFERENCES resources (uri) ON DELETE CASCADE,
    scopes     TEXT NOT NULL,
    nonce      TEXT,
    auth_time  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    reason     TEXT
);

CREATE TABLE auth_codes (
    hash             BLOB PRIMARY KEY,
    grant_id         TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    client_id        TEXT NOT NULL,
    redirect_uri     TEXT NOT NULL,
    challenge        TEXT NOT NULL,
    expires_at       INTEGER NOT NULL,
    consumed_at      INTEGER
);
CREATE INDEX auth_codes_expire ON auth_codes (expires_at);
CREATE INDEX auth_codes_grant ON auth_codes (grant_id);

CREATE TABLE refresh_tokens (
    hash             BLOB PRIMARY KEY,
    grant_id         TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    issued_at        INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    rotated_at       INTEGER,
    successor_hash   BLOB,
    successor_sealed BLOB
);
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_expire ON refresh_tokens (expires_at);
