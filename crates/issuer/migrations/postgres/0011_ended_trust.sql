-- That an identity provider is trusted no longer, or somebody of it is nobody here, is logged too: a
-- backup from before does not bring it back.
ALTER TABLE revocation_log DROP CONSTRAINT revocation_log_kind_check;
ALTER TABLE revocation_log ADD CONSTRAINT revocation_log_kind_check CHECK (kind IN
    ('grant', 'user', 'client', 'token', 'key', 'identity_provider', 'identity'));
