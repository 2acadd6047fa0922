-- What pruning looks for: grants by age, and whether a client has any.

CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_created ON grants (created_at);
CREATE INDEX clients_registered ON clients (created_at) WHERE kind = 'registered';
