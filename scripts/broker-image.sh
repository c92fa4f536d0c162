#!/usr/bin/env bash
# broker-image.sh - find, fetch or build a RabbitMQ image; prints its name.
#
# GOSLO_RABBITMQ_IMAGE if it is set, else rabbitmq:4-management if the engine
# has it, else the image built earlier, else rabbitmq:4-management from its
# registry, else one built from Debian packages. A missing engine is installed
# and started where docker-up.sh can do that. Status 1: no image to be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
official=rabbitmq:4-management

say() { printf 'broker-image: %s\n' "$*" >&2; }
have() { docker image inspect "$1" >/dev/null 2>&1; }
found() { echo "$1"; exit 0; }

# Gives up after 10 s without a word from the registry, or 5 minutes in all.
pull() {
	local log start=$SECONDS patience=10
	say "pulling $1"
	log=$(mktemp)
	docker pull "$1" >"$log" 2>&1 &
	while kill -0 $! 2>/dev/null; do
		if [ -s "$log" ]; then patience=300; fi
		if [ $((SECONDS - start)) -ge "$patience" ]; then kill $! 2>/dev/null || true; fi
		sleep 0.1
	done
	wait $! && { rm -f "$log"; return 0; }
	say "cannot pull $1: $(tail -n 1 "$log")"
	rm -f "$log"
	return 1
}

docker version >/dev/null 2>&1 || "$here/docker-up.sh" || exit 1

if [ -n "${GOSLO_RABBITMQ_IMAGE:-}" ]; then
	have "$GOSLO_RABBITMQ_IMAGE" || pull "$GOSLO_RABBITMQ_IMAGE" || exit 1
	found "$GOSLO_RABBITMQ_IMAGE"
fi
if have "$official"; then found "$official"; fi
if ! have goslo-test/rabbitmq:trixie && pull "$official"; then found "$official"; fi
exec "$here/rabbitmq-image.sh" trixie
