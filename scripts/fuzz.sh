#!/usr/bin/env bash
# fuzz.sh - run every fuzz target of the module for a while.
#
#   fuzz.sh TIME   such as 20s, for each target
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort |
	while read -r dir name; do
		echo "$dir $name"
		if go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$dir" 2>&1 | tee "$log"; then continue; fi
		# Before Go 1.27 a busy machine may turn the end of the time into a
		# failure without any failing input (golang/go issue 75804).
		if grep -q 'context deadline exceeded' "$log" && ! grep -qE 'Failing input|panic' "$log"; then
			echo "$name: time is up, no failing input"
			continue
		fi
		exit 1
	done
