-- The numbers grow only when something changes that servers keep in memory. They keep no documents, and
-- no client that they have not found: a new one makes nothing stale. Resources have a number of their own,
-- so that changes of clients, which strangers can cause, do not empty them.
--
-- A resource counts for both, the number of all first: those who change both kinds wait for each other in
-- a line and not in a circle.

INSERT INTO counters (name, value) VALUES ('resources', 1);

DROP TRIGGER client_documents_changed ON client_documents;
DROP TRIGGER clients_changed ON clients;
CREATE CONSTRAINT TRIGGER clients_changed
    AFTER UPDATE OR DELETE ON clients
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_settings();

CREATE FUNCTION count_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'settings';
    UPDATE counters SET value = value + 1 WHERE name = 'resources';
    RETURN NULL;
END
$$;

DROP TRIGGER resources_changed ON resources;
CREATE CONSTRAINT TRIGGER resources_changed
    AFTER INSERT OR UPDATE OR DELETE ON resources
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_resources();

DROP TRIGGER resource_aliases_changed ON resource_aliases;
CREATE CONSTRAINT TRIGGER resource_aliases_changed
    AFTER INSERT OR UPDATE OR DELETE ON resource_aliases
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_resources();

DROP TRIGGER resource_tools_changed ON resource_tools;
CREATE CONSTRAINT TRIGGER resource_tools_changed
    AFTER INSERT OR UPDATE OR DELETE ON resource_tools
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_resources();

DROP TRIGGER scopes_changed ON scopes;
CREATE CONSTRAINT TRIGGER scopes_changed
    AFTER INSERT OR UPDATE OR DELETE ON scopes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_resources();
