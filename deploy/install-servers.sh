#!/bin/sh
# Installs the MariaDB server program where that is possible: as root, on a system with apt.
# Nothing is started and no service is set up; demo and tests start private servers of their own.
# REQUIRED=1: fail when it cannot be had (tests); otherwise say so and go on (the demo then uses PostgreSQL).
set -u
PATH="$PATH:/usr/sbin:/usr/local/sbin"
command="apt-get install --no-install-recommends mariadb-server-core mariadb-client-core"
if command -v mariadbd >/dev/null 2>&1 && command -v mariadb-install-db >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "== installing MariaDB's server program (apt)"
    export DEBIAN_FRONTEND=noninteractive
    if { apt-get -q update && apt-get -q -y install --no-install-recommends mariadb-server-core mariadb-client-core; } >/tmp/sync-assets-apt.log 2>&1; then
        exit 0
    fi
    tail -n 5 /tmp/sync-assets-apt.log
fi
echo "MariaDB's server is not installed. To install it: sudo $command"
[ -z "${REQUIRED:-}" ]
