-- A number that grows with every change of what servers keep in memory: clients, resources and what
-- belongs to them. By triggers, so that no change can forget it; the same on PostgreSQL. A migration
-- that makes one of these tables anew has to make its triggers anew.

INSERT INTO counters (name, value) VALUES ('settings', 1);

CREATE TRIGGER clients_added AFTER INSERT ON clients
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER clients_changed AFTER UPDATE ON clients
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER clients_deleted AFTER DELETE ON clients
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

CREATE TRIGGER client_documents_added AFTER INSERT ON client_documents
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER client_documents_changed AFTER UPDATE ON client_documents
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER client_documents_deleted AFTER DELETE ON client_documents
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

CREATE TRIGGER client_resources_added AFTER INSERT ON client_resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER client_resources_changed AFTER UPDATE ON client_resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER client_resources_deleted AFTER DELETE ON client_resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

CREATE TRIGGER resources_added AFTER INSERT ON resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER resources_changed AFTER UPDATE ON resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER resources_deleted AFTER DELETE ON resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

CREATE TRIGGER resource_aliases_added AFTER INSERT ON resource_aliases
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER resource_aliases_changed AFTER UPDATE ON resource_aliases
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER resource_aliases_deleted AFTER DELETE ON resource_aliases
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

CREATE TRIGGER resource_tools_added AFTER INSERT ON resource_tools
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER resource_tools_changed AFTER UPDATE ON resource_tools
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER resource_tools_deleted AFTER DELETE ON resource_tools
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

CREATE TRIGGER scopes_added AFTER INSERT ON scopes
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER scopes_changed AFTER UPDATE ON scopes
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;
CREATE TRIGGER scopes_deleted AFTER DELETE ON scopes
    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'settings'; END;

-- What was leased before a restore is not there after it: nodes drop what they hold.
INSERT INTO counters (name, value) VALUES ('restored', 0);

-- What nothing reads or writes.
ALTER TABLE clients DROP COLUMN previous_secret_hash;
ALTER TABLE clients DROP COLUMN expires_at;
ALTER TABLE clients DROP COLUMN last_used_at;
ALTER TABLE client_documents DROP COLUMN last_error;
ALTER TABLE consents DROP COLUMN metadata_hash;
ALTER TABLE scopes DROP COLUMN sensitive;
