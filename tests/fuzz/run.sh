#!/bin/sh
# run.sh TARGET SECONDS: runs a fuzz target, for NOVT_FUZZ_SECONDS if that is set; what it learns is
# kept beside it for the next run.
# A failure leaves the input in TARGET.crashes: TARGET FILE runs that one again.
set -eu
target=$1 seconds=${NOVT_FUZZ_SECONDS:-$2}

[ -x "$target" ] || { echo "SKIPPED: $target was not built"; exit 77; }
mkdir -p "$target.corpus" "$target.crashes"
# detect_leaks wants ptrace, which some containers forbid: libFuzzer says so and goes on.
# Other tests beside it go first, but do not starve it: -timeout is an input's limit by the clock.
exec nice -n 5 "$target" -max_total_time="$seconds" -timeout=100 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=1 -artifact_prefix="$target.crashes/" "$target.corpus"
