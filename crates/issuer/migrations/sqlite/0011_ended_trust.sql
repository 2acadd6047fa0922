-- That an identity provider is trusted no longer, or somebody of it is nobody here, is logged too: a
-- backup from before does not bring it back. SQLite cannot change a check.
CREATE TABLE new_revocation_log (
    seq        INTEGER PRIMARY KEY,
    issuer_id  INTEGER NOT NULL DEFAULT 1,
    kind       TEXT NOT NULL CHECK (kind IN
                   ('grant', 'user', 'client', 'token', 'key', 'identity_provider', 'identity')),
    ref        TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    revoked_by TEXT NOT NULL,
    reason     TEXT NOT NULL
);
INSERT INTO new_revocation_log SELECT * FROM revocation_log;
DROP TABLE revocation_log;
ALTER TABLE new_revocation_log RENAME TO revocation_log;
CREATE INDEX revocation_log_revoked ON revocation_log (revoked_at);
