-- What /userinfo answers by: the scopes of the token that no resource has, separated by spaces. They
-- are not in the token, since its resource has no use for them (RFC 9068 §2.2.3).
ALTER TABLE issued_tokens ADD COLUMN general_scopes TEXT NOT NULL DEFAULT '';
