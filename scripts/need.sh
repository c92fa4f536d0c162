#!/usr/bin/env bash
# need.sh - see to it that Debian packages are installed.
#
#   need.sh PACKAGE...
#
# On Debian and its relatives root gets what is missing, after one line that
# says so; anybody else gets the line to type, and status 1. With everything
# there it says nothing.
set -euo pipefail

missing=()
for package in "$@"; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed) ;;
	*) missing+=("$package") ;;
	esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "need: missing, under the names they have on Debian: ${missing[*]}" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "need: sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

echo "need: installing from Debian: ${missing[*]}" >&2
# A server that comes along is for tests to start, not for the machine to run.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends \
	-o DPkg::Lock::Timeout=300 "${missing[@]}"; } >"$log" 2>&1; then
	tail -n 30 "$log" >&2
	echo "need: apt-get failed (log: $log)" >&2
	exit 1
fi
rm -f "$log"
