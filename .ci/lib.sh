# shellcheck shell=bash
#
# The functions of .ci/run and .ci/contract. This file only defines them.

# --- Steps ------------------------------------------------------------------
#
#   begin                    once, before the steps
#   step NAME COMMAND...     if it fails, the script ends with its status
#   clean_up                 defined by the script: runs at the end, also after a failure or a signal

table=()      # one line per finished step
logs=()       # "name<TAB>log" of each step
current=      # the running step
current_start=0
current_group=
failure=      # what went wrong, printed last

# Sets `work`, the directory for all files of the steps, and TMPDIR, that of their temporary ones.
begin() {
    local free room
    # If the host killed it at its limit of 90 minutes, it could not stop the processes that it has started.
    [ -n "${BOXCAR_CI-}" ] || BOXCAR_CI=yes exec timeout --foreground --verbose 85m bash .ci/run
    exec </dev/null
    work=$(mktemp -d /tmp/boxcar-ci.XXXXXX)
    # Database servers run as another user, who needs access.
    chmod 755 "$work"
    # In memory, if there is enough: SQLite waits for the disk at each commit (a slow disk has made 33 minutes of the 4 that
    # its tests take), and the servers create and delete thousands of files.
    free=$(awk '/^MemAvailable:/ { print int($2 / 1024 / 1024) }' /proc/meminfo)
    room=$(df --block-size=1G --output=avail /dev/shm 2>/dev/null | tail -n 1) || room=0
    if [ "$free" -ge 12 ] && [ "$room" -ge 6 ]; then TMPDIR=/dev/shm/${work##*/}; else TMPDIR=$work/tmp; fi
    trap leave EXIT
    mkdir -m 1777 "$TMPDIR"
    export TMPDIR
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

step() {
    local log=$work/${#logs[@]}.log status=0 out tee
    current=$1
    current_start=$SECONDS
    shift
    logs+=("$current"$'\t'"$log")
    echo "== $current"

    # In the background and in its own process group (by -m): so a signal interrupts the wait, and all processes
    # of the step can be ended. Not called by `if` or `||`, which would turn `set -e` off in functions.
    exec {out}> >(exec tee "$log")
    tee=$!
    set -m
    (
        set -e
        "$@"
    ) >&"$out" 2>&1 {out}>&- &
    current_group=$!
    set +m
    exec {out}>&-
    wait "$current_group" || status=$?
    end_group
    # Wait until the last line of the step is printed, but not for ever: a process that has left the group may
    # keep the output open.
    timeout 5 tail --pid="$tee" -s 0.1 -f /dev/null || kill "$tee"

    if [ "$status" -ne 0 ]; then exit "$status"; fi
    finish_step ok
}

finish_step() {
    local seconds=$((SECONDS - current_start))
    table+=("$(printf '%-24s %-6s %5d s' "$current" "$1" "$seconds")")
    echo "== $current: $1, $seconds s"
    current=
}

# Ends the processes that a step has left running: they would also keep its output open.
end_group() {
    [ -n "$current_group" ] || return 0
    if kill -TERM -- "-$current_group" 2>/dev/null; then
        sleep 1
        kill -KILL -- "-$current_group" 2>/dev/null || true
    fi
    current_group=
}

leave() {
    local status=$? last_words
    trap - EXIT
    # A second signal, or a failure, must not interrupt the clean-up.
    trap '' INT TERM HUP
    set +e
    end_group
    if [ "$status" -ne 0 ]; then failure="== ${current:-} FAILED with status $status"; fi
    if [ -n "$current" ]; then finish_step FAILED; fi
    clean_up >"$work/clean_up.log" 2>&1 || cat "$work/clean_up.log"
    last_words=$(report)
    rm -rf "$work" "$TMPDIR"
    printf '%s\n' "$last_words"
    exit "$status"
}

# The table, and the closing lines of the test runners. After a failure, the failure is the last line.
report() {
    echo
    if [ -n "$failure" ]; then closing_lines; fi
    printf '%s\n' "${table[@]}"
    printf '%-24s %-6s %5d s\n' total "" "$SECONDS"
    if [ -n "$failure" ]; then echo "$failure"; else closing_lines; fi
}

closing_lines() {
    local entry lines
    for entry in "${logs[@]}"; do
        lines=$(grep -E '^test result:|^ *Summary \[' "${entry#*$'\t'}" 2>/dev/null) || continue
        echo "== ${entry%%$'\t'*}"
        printf '%s\n' "$lines"
    done
}

# --- Helpers ----------------------------------------------------------------

# Below the range that the system uses for outgoing connections, so that none of them takes the port meanwhile.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# up_to_date FILE COPY: whether COPY equals FILE.
up_to_date() { cmp -s "$1" "$2"; }
