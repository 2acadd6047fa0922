-- Token exchange (RFC 8693).

-- What a client may have there by exchange of a user's token, separated by spaces.
ALTER TABLE client_resources ADD COLUMN exchanges TEXT NOT NULL DEFAULT '';

-- The client that has a token by exchange: the grant belongs to another one, or the token to less.
ALTER TABLE issued_tokens ADD COLUMN holder TEXT;
CREATE INDEX issued_tokens_holder ON issued_tokens (holder) WHERE holder IS NOT NULL;
