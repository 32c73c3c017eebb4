# Keeps a private PostgreSQL server and its folder for the program that started this script.
#
# $1 is the folder of the server's programs, $2 the server's own folder; what follows goes to
# initdb. Orders are read as lines from standard input, each is answered by one line. Standard
# input ends when that program ends, however it ends: then the server goes, and its folder.
#
# No signal but KILL may end this script before its time; least of all the one for an answer that
# nobody is there to read.
trap '' HUP INT PIPE QUIT TERM
bin=$1 folder=$2
shift 2
data=$folder/data log=$folder/log pid=

# Stops the server with signal $1 and waits for its end. Until it has been waited for, its
# process number cannot become another's.
halt() {
    [ -n "$pid" ] || return 0
    kill -s "$1" "$pid"
    wait "$pid"
    pid=
}

# Ends the sessions of a server that was killed: they may work on for a while without it. They
# are known by their working directory. A server that ended in good order left none.
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
    halt)
        halt "$signal"
        echo 0
        ;;
    esac
done

# Not QUIT: a server that is just starting would not hear it yet.
halt KILL
end_sessions
# The shared memory segment by which a killed server would have been recognised: the second
# number of the file's seventh line.
if [ -e "$data/postmaster.pid" ]; then
    segment=$(sed -n '7s/^ *[0-9][0-9]*  *\([0-9][0-9]*\) *$/\1/p' "$data/postmaster.pid")
    [ -z "$segment" ] || ipcrm -m "$segment"
fi
rm -rf "$folder"
