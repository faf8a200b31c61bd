#!/usr/bin/env bash
# Start PostgreSQL as the image postgres does: the first start makes the cluster, POSTGRES_USER with POSTGRES_PASSWORD and
# POSTGRES_DB; the server then runs in the foreground as the user postgres and asks for a password over the network.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?a password for the superuser is needed}"
  user=${POSTGRES_USER:-postgres}
  initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256 > /dev/null
  printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  if [ "${POSTGRES_DB:-$user}" != postgres ]; then
    # Only over the local socket, so that nobody who waits for the port sees the server before it is ready.
    pg_ctl -w -o "-c listen_addresses=''" start > /dev/null
    createdb --username="$user" --maintenance-db=postgres "${POSTGRES_DB:-$user}"
    pg_ctl -m fast -w stop > /dev/null
  fi
fi
unset POSTGRES_PASSWORD
exec "$@" -c "listen_addresses=*"
