# Keeps a PostgreSQL server for as long as its input is open: it ends with the process that reads its output, however that
# ends. $1 is the folder of PostgreSQL's programs, $2 further lines of its configuration, $3 the port on which it is to be reached
# over TLS, if any, $4 the folder of the primary whose standby it is to be, if any. Then each line of the input is a command:
# "start", "stop", "promote" (a standby), or "pool" with a port, a mode and the startup parameters that PgBouncer is to ignore.
trap '' INT

# Short, because the path of a socket is at most 107 bytes long.
folder=$(mktemp -d /tmp/cartwright-postgres.XXXXXX) || exit 1
echo "$folder"

told() {
    if "$@" >>"$folder/said" 2>&1; then echo ok; else tr '\n' ' ' <"$folder/said"; echo; fi
}
# Speed: what these servers hold need not survive the machine, and the tests that count writes to the disk set it back.
prepare() {
    if [ -n "$4" ]; then
        "$1/pg_basebackup" --pgdata "$folder/data" --host "$4" --username tester --write-recovery-conf --checkpoint fast --no-sync
    else
        "$1/initdb" --pgdata "$folder/data" --username tester --auth trust --encoding UTF8 --no-sync
    fi &&
        printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$folder'" "fsync = off" "max_connections = 200" \
            "$2" >>"$folder/data/postgresql.conf" &&
        if [ -n "$3" ]; then secure "$3"; fi
}
# A certificate for "localhost", by an authority that nobody else knows.
secure() {
    port=$1
    set -- -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2
    openssl req "$@" -subj "/CN=an authority" -keyout "$folder/ca.key" -out "$folder/ca.pem" &&
        openssl req "$@" -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost" \
            -addext "basicConstraints=critical,CA:FALSE" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" \
            -keyout "$folder/data/server.key" -out "$folder/data/server.crt" &&
        printf '%s\n' "local all all trust" "hostssl all all 127.0.0.1/32 trust" >"$folder/data/pg_hba.conf" &&
        printf '%s\n' "listen_addresses = '127.0.0.1'" "port = $port" "ssl = on" >>"$folder/data/postgresql.conf"
}
server() {
    "$bin/pg_ctl" -s -w -D "$folder/data" -l "$folder/log" "$@"
}

# PgBouncer on a socket in the same folder. It refuses the superuser too.
pool() {
    pooler=$folder/pgbouncer.$1
    printf '%s\n' "[databases]" "* = host=$folder user=tester" "[pgbouncer]" "unix_socket_dir = $folder" "listen_port = $1" \
        "auth_type = any" "pool_mode = $2" "ignore_startup_parameters = $3" "pidfile = $pooler.pid" "logfile = $pooler.log" \
        >"$pooler.ini" && "$(command -v pgbouncer || echo /usr/sbin/pgbouncer)" -q -d "$pooler.ini" || return 1
    # It answers when its socket is there.
    for _ in $(seq 100); do
        [ -S "$folder/.s.PGSQL.$1" ] && return
        sleep 0.02
    done
    return 1
}

bin=$1
told prepare "$@"
while read -r word port mode ignored; do
    case $word in
    start) told server start ;;
    stop) told server stop -m immediate ;;
    promote) told server promote ;;
    pool) told pool "$port" "$mode" "$ignored" ;;
    esac
done
for pid in "$folder"/pgbouncer.*.pid; do
    [ -f "$pid" ] && kill "$(cat "$pid")"
done
server stop -m immediate >/dev/null 2>&1
rm -rf "$folder"
