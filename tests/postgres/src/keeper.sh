# Keeps a PostgreSQL server for as long as its input is open: it ends with the process that reads its output, however that
# ends. $1 is the folder of PostgreSQL's programs, $2 further lines of its configuration, $3 the port on which it is to be reached
# over TLS, if any.
trap '' INT

# Short, because the path of a socket is at most 107 bytes long.
folder=$(mktemp -d /tmp/cartwright-postgres.XXXXXX) || exit 1
echo "$folder"

told() {
    if "$@" >>"$folder/said" 2>&1; then echo ok; else tr '\n' ' ' <"$folder/said"; echo; fi
}
# Speed: what these servers hold need not survive the machine, and the tests that count writes to the disk set it back.
prepare() {
    "$1/initdb" --pgdata "$folder/data" --username tester --auth trust --encoding UTF8 --no-sync &&
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

bin=$1
told prepare "$@"
while read -r word; do
    case $word in
    start) told server start ;;
    stop) told server stop -m immediate ;;
    esac
done
server stop -m immediate >/dev/null 2>&1
rm -rf "$folder"
