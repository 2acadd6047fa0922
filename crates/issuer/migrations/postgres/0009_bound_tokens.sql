-- Which key a refresh token is bound to (RFC 9449 §5) is its own, not its grant's: whoever refreshes with
-- another key binds what they are given, and not what others hold.
ALTER TABLE refresh_tokens ADD COLUMN cnf TEXT;
UPDATE refresh_tokens SET cnf = (SELECT grants.cnf FROM grants WHERE grants.id = refresh_tokens.grant_id);
ALTER TABLE grants DROP COLUMN cnf;
