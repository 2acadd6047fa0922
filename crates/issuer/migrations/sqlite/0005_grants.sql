-- Token exchange (RFC 8693) and identity assertions (ID-JAG).

-- What a client may have there by exchange of a user's token, separated by spaces.
ALTER TABLE client_resources ADD COLUMN exchanges TEXT NOT NULL DEFAULT '';

-- The client that has a token by exchange: the grant belongs to another one, or the token to less.
ALTER TABLE issued_tokens ADD COLUMN holder TEXT;
CREATE INDEX issued_tokens_holder ON issued_tokens (holder) WHERE holder IS NOT NULL;

-- Who may say that a client acts for a user: with its keys, or where it publishes them.
CREATE TABLE identity_providers (
    issuer     TEXT PRIMARY KEY,
    issuer_id  INTEGER NOT NULL DEFAULT 1,
    jwks       TEXT,
    jwks_uri   TEXT,
    created_at INTEGER NOT NULL
);

-- Who of an identity provider is which user.
CREATE TABLE user_identities (
    issuer     TEXT NOT NULL REFERENCES identity_providers (issuer) ON DELETE CASCADE,
    subject    TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX user_identities_user ON user_identities (user_id);
