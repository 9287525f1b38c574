#!/usr/bin/env bash
# Runs the transport suite many times, on every backend, and stops at the first failure: a case that
# fails once in two hundred is a case that fails.
#
#     transport-api/repeat.sh [TIMES]
#
# The quick cases run TIMES times (200 unless said), those about time five times with a heartbeat bound
# of two seconds. Beside something that keeps the machine busy it shows more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

times=${1:-200}
timed=(silent_peer_noticed idle_link_lives a_paused_reader_is_not_silent
    who_waits_for_room_learns_of_the_loss end_point_close_has_a_deadline)
suite=(cargo test --quiet -p midflight-transport-tcp -p midflight-transport-inmem --test conformance)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# repeat NAME TIMES ARGUMENTS...: the arguments are those of the test programs.
repeat() {
    local name=$1 count=$2 began=$SECONDS run
    shift 2
    for ((run = 1; run <= count; run++)); do
        if ! "${suite[@]}" -- "$@" >"$log" 2>&1; then
            cat "$log"
            printf '%s: run %s of %s failed\n' "$name" "$run" "$count"
            exit 1
        fi
        # A list that matches nothing passes too.
        if ! grep -q 'result: ok. [1-9]' "$log"; then
            cat "$log"
            printf '%s: nothing ran\n' "$name"
            exit 1
        fi
    done
    grep -oh '[a-z_]* skipped: .*' "$log" | sort -u || true
    printf '%s: %s runs in %s s, all good\n' "$name" "$count" "$((SECONDS - began))"
}

"${suite[@]}" --no-run
skips=()
for case in "${timed[@]}"; do
    skips+=(--skip "$case")
done
repeat 'quick cases' "$times" "${skips[@]}"
MIDFLIGHT_HEARTBEAT_MS=2000 repeat 'cases about time' 5 "${timed[@]}"
