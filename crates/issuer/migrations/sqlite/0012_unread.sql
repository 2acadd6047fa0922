-- What nothing reads. An access token is found by its place and its grant, which names user and client.
-- Consents are remembered for clients that the administrator added, and these are never deleted for want
-- of use; every other client asks each time, and then has a new granted_at.

ALTER TABLE client_documents DROP COLUMN body;
ALTER TABLE client_documents DROP COLUMN sha256;
ALTER TABLE clients DROP COLUMN metadata_hash;
ALTER TABLE consents DROP COLUMN last_used_at;
ALTER TABLE device_codes DROP COLUMN dpop_jkt;
ALTER TABLE grants DROP COLUMN expires_at;
ALTER TABLE grants DROP COLUMN redirect_uri;
ALTER TABLE issued_tokens DROP COLUMN client_id;
ALTER TABLE issued_tokens DROP COLUMN jti;
ALTER TABLE issued_tokens DROP COLUMN user_id;
ALTER TABLE revocation_log DROP COLUMN revoked_by;
ALTER TABLE status_leases DROP COLUMN leased_at;
ALTER TABLE status_leases DROP COLUMN node;
