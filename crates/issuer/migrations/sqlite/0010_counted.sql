-- The numbers grow only when something changes that servers keep in memory. They keep no documents, and
-- no client that they have not found: a new one makes nothing stale. Resources have a number of their own,
-- so that changes of clients, which strangers can cause, do not empty them.
--
-- A resource counts for both, as on PostgreSQL. A migration that makes one of these tables anew has to make
-- its triggers anew.

INSERT INTO counters (name, value) VALUES ('resources', 1);

DROP TRIGGER client_documents_added;
DROP TRIGGER client_documents_changed;
DROP TRIGGER client_documents_deleted;
DROP TRIGGER clients_added;

DROP TRIGGER resources_added;
CREATE TRIGGER resources_added AFTER INSERT ON resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER resources_changed;
CREATE TRIGGER resources_changed AFTER UPDATE ON resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER resources_deleted;
CREATE TRIGGER resources_deleted AFTER DELETE ON resources
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;

DROP TRIGGER resource_aliases_added;
CREATE TRIGGER resource_aliases_added AFTER INSERT ON resource_aliases
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER resource_aliases_changed;
CREATE TRIGGER resource_aliases_changed AFTER UPDATE ON resource_aliases
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER resource_aliases_deleted;
CREATE TRIGGER resource_aliases_deleted AFTER DELETE ON resource_aliases
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;

DROP TRIGGER resource_tools_added;
CREATE TRIGGER resource_tools_added AFTER INSERT ON resource_tools
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER resource_tools_changed;
CREATE TRIGGER resource_tools_changed AFTER UPDATE ON resource_tools
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER resource_tools_deleted;
CREATE TRIGGER resource_tools_deleted AFTER DELETE ON resource_tools
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;

DROP TRIGGER scopes_added;
CREATE TRIGGER scopes_added AFTER INSERT ON scopes
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER scopes_changed;
CREATE TRIGGER scopes_changed AFTER UPDATE ON scopes
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
DROP TRIGGER scopes_deleted;
CREATE TRIGGER scopes_deleted AFTER DELETE ON scopes
    BEGIN UPDATE counters SET value = value + 1 WHERE name IN ('settings', 'resources'); END;
