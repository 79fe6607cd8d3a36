# Keeps a PostgreSQL server for as long as its input is open: it ends with the process that reads its output, however that
# ends. $1 is the folder of PostgreSQL's programs, $2 further lines of its configuration.
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
            "$2" >>"$folder/data/postgresql.conf"
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
