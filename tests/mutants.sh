#!/usr/bin/env bash
# Shows that the tests of SEMANTICS.md would notice: each patch in tests/mutants breaks one promise in
# one expression, and the test that it names must pass without the patch and fail with it.
#
#   tests/mutants.sh            all
#   tests/mutants.sh P2 T4      some
#
# Works on a copy of the tree in target/mutants, with a target folder of its own that all mutants share.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD
work=$here/target/mutants
tree=$work/tree
# A mutant may wait for ever: that is failing, too.
seconds=${MIDFLIGHT_MUTANT_SECONDS:-300}

ids=("$@")
if ((${#ids[@]} == 0)); then
    mapfile -t ids < <(cd tests/mutants && ls -- *.patch | sed 's/\.patch$//' | sort -V)
fi

# The copy keeps times, so that only what has changed since the last run is built again.
mkdir -p "$tree"
find "$tree" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
git ls-files -z | xargs -0 cp --parents -p -t "$tree"
# A run that was stopped has left something built from a mutant: its source gets a new time, and so it does
# after every mutant.
renew() { (cd "$tree" && sed -n 's,^+++ b/,,p' "$here/tests/mutants/$1.patch" | xargs touch); }
if [[ -e $work/under-way ]]; then
    renew "$(<"$work/under-way")"
fi
export CARGO_TARGET_DIR=$work/build

field() { sed -n "s/^$2: //p" "$here/tests/mutants/$1.patch"; }

# Runs a mutant's test: passed, failed, or what it is besides.
verdict() {
    local run status=0 log=$work/$1.log
    read -ra run <<<"$(field "$1" Run)"
    if ! (cd "$tree" && cargo test --quiet "${run[@]}" --no-run) >"$log" 2>&1; then
        echo 'does not compile'
        return
    fi
    (cd "$tree" && timeout --kill-after=5 "$seconds" cargo test --quiet "${run[@]}") >"$log" 2>&1 || status=$?
    if ((status == 124 || status == 137)); then
        echo 'takes too long'
    elif ((status != 0)); then
        echo failed
    elif grep -qE '^test result: ok\. [1-9]' "$log"; then
        echo passed
    else
        echo 'runs no test'
    fi
}

declare -A without
wrong=0
# Without any patch first: whatever is built then is built once.
for id in "${ids[@]}"; do
    run=$(field "$id" Run)
    [[ -n ${without[$run]:-} ]] || without[$run]=$(verdict "$id")
done
for id in "${ids[@]}"; do
    patch=$here/tests/mutants/$id.patch
    before=${without[$(field "$id" Run)]}
    with='does not apply'
    printf '%s' "$id" >"$work/under-way"
    if patch --quiet --batch --forward -d "$tree" -p1 <"$patch" >"$work/$id.log" 2>&1; then
        with=$(verdict "$id")
        patch --quiet --batch --reverse -d "$tree" -p1 <"$patch"
        renew "$id"
        # What trybuild has built of the mutant is not built again for a new time of its source.
        rm -rf "$CARGO_TARGET_DIR/tests"
        rm -f "$work/under-way"
    fi
    good=good
    if [[ $before != passed || ($with != failed && $with != "takes too long") ]]; then
        good=WRONG
        wrong=$((wrong + 1))
    fi
    printf '%-5s %-4s without: %s, with: %s (%s)\n' "$good" "$id" "$before" "$with" "$(field "$id" Test)"
done
printf '%s mutants, %s not as they should be\n' "${#ids[@]}" "$wrong"
((wrong == 0))
