# Keeps a private PostgreSQL server and its folder for the program that started this script.
#
# $1 is the folder of the server's programs, $2 the server's folder; the other arguments are for
# initdb. Each line of standard input is an order, and is answered by one line. Standard input
# closes when that program ends: then the script stops the server and removes its folder.
#
# Only KILL may end this script earlier; SIGPIPE, for an answer without a reader, must not.
trap '' HUP INT PIPE QUIT TERM
bin=$1 folder=$2
shift 2
data=$folder/data log=$folder/log pid=

# Stops the server with signal $1 and waits until it ends. Before that its process id is not reused.
stop() {
    [ -n "$pid" ] || return 0
    kill -s "$1" "$pid"
    wait "$pid"
    pid=
}

# Ends the sessions of a killed server, which may continue without it. They are found by their
# working directory. A server that was shut down left none.
end_sessions() {
    [ -e "$data/postmaster.pid" ] || return 0
    rounds=0 deadly=QUIT
    while [ "$rounds" -lt 100 ]; do
        [ "$rounds" -lt 50 ] || deadly=KILL
        found=
        for cwd in /proc/[0-9]*/cwd; do
            if [ "$cwd" -ef "$data" ]; then
                found=yes session=${cwd#/proc/}
                kill -s "$deadly" "${session%/cwd}"
            fi
        done
        [ -n "$found" ] || break
        rounds=$((rounds + 1))
        sleep 0.1
    done
}

while read -r order signal; do
    case $order in
    initdb)
        "$bin/initdb" -D "$data" "$@" >>"$log" 2>&1 </dev/null
        echo "$?"
        ;;
    start)
        end_sessions
        "$bin/postgres" -D "$data" >>"$log" 2>&1 </dev/null &
        pid=$!
        echo "$pid"
        ;;
    stop)
        stop "$signal"
        echo 0
        ;;
    esac
done

# Not QUIT: a starting server would ignore it.
stop KILL
end_sessions
# Remove the shared memory segment of a killed server: the second number of the seventh line.
if [ -e "$data/postmaster.pid" ]; then
    segment=$(sed -n '7s/^ *[0-9][0-9]*  *\([0-9][0-9]*\) *$/\1/p' "$data/postmaster.pid")
    [ -z "$segment" ] || ipcrm -m "$segment"
fi
rm -rf "$folder"
