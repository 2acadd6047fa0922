#!/bin/sh
# Fills an issuer's database: DATABASE GRANTS CLIENT RESOURCE. The rows are those of real grants.
set -eu
grants="INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at)
  SELECT 'g_' || n, (SELECT id FROM users), '$3', '$4', 'read', at, at FROM numbers, now"
case $1 in
postgres*)
  psql -X -q -v ON_ERROR_STOP=1 "$1" <<SQL
CREATE TEMP VIEW numbers AS SELECT generate_series(1, $2) AS n;
CREATE TEMP VIEW now AS SELECT extract(epoch FROM now())::bigint AS at;
$grants;
INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at)
  SELECT sha256(n::text::bytea), 'g_' || n, at, at + 2592000 FROM numbers, now;
ANALYZE;
SQL
  ;;
*)
  python3 - "$1" "$2" "$grants" <<'PYTHON'
import hashlib, sqlite3, sys
database, count, grants = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = sqlite3.connect(database)
connection.create_function("digest", 1, lambda n: hashlib.sha256(str(n).encode()).digest())
tables = f"""WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}),
  now(at) AS (SELECT unixepoch()) """
connection.execute(tables + grants)
connection.execute(tables + """INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at)
  SELECT digest(n), 'g_' || n, at, at + 2592000 FROM numbers, now""")
connection.commit()
PYTHON
  ;;
esac
