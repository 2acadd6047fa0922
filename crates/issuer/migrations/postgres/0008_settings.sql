-- A number that grows with every change of what servers keep in memory: clients, resources and what
-- belongs to them. By triggers, so that no change can forget it; the same on SQLite.
--
-- Deferred: the row of the number is the last that a transaction locks, so that nobody who waits for
-- it holds up who has it.

INSERT INTO counters (name, value) VALUES ('settings', 1);

CREATE FUNCTION count_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'settings';
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER clients_changed
    AFTER INSERT OR UPDATE OR DELETE ON clients
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();
CREATE CONSTRAINT TRIGGER client_documents_changed
    AFTER INSERT OR UPDATE OR DELETE ON client_documents
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();
CREATE CONSTRAINT TRIGGER client_resources_changed
    AFTER INSERT OR UPDATE OR DELETE ON client_resources
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();
CREATE CONSTRAINT TRIGGER resources_changed
    AFTER INSERT OR UPDATE OR DELETE ON resources
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();
CREATE CONSTRAINT TRIGGER resource_aliases_changed
    AFTER INSERT OR UPDATE OR DELETE ON resource_aliases
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();
CREATE CONSTRAINT TRIGGER resource_tools_changed
    AFTER INSERT OR UPDATE OR DELETE ON resource_tools
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();
CREATE CONSTRAINT TRIGGER scopes_changed
    AFTER INSERT OR UPDATE OR DELETE ON scopes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();

-- What was leased before a restore is not there after it: nodes drop what they hold.
INSERT INTO counters (name, value) VALUES ('restored', 0);

-- What nothing reads or writes.
ALTER TABLE clients DROP COLUMN previous_secret_hash;
ALTER TABLE clients DROP COLUMN expires_at;
ALTER TABLE clients DROP COLUMN last_used_at;
ALTER TABLE client_documents DROP COLUMN last_error;
ALTER TABLE consents DROP COLUMN metadata_hash;
ALTER TABLE scopes DROP COLUMN sensitive;
