#!/usr/bin/env bash
# test-env.sh - run a command with everything that the tests need.
#
#   test-env.sh COMMAND ARGS...   prepare, then run the command
#   test-env.sh                   prepare, then print the settings for "eval"
#
# The tests need a C compiler (for -race), a RabbitMQ and Python's
# oslo.messaging. What is missing is installed where that is possible (see
# need.sh); elsewhere this says what to type and ends with status 1. A second
# run takes less than a second.
#
# The broker is the first of these that is there or can be had:
#   RABBITMQ_URL   one that somebody else runs
#   Docker         an engine and an image (see broker-image.sh)
#   rabbitmq-server   the package, for a node of our own
#
#   GOSLO_BROKER   url, docker or native: this one and no other
# The tests talk to two releases of oslo.messaging, Debian 12's and Debian 13's. The
# one that GOSLO_PYTHON does not have comes from oslo-image.sh.
#
#   GOSLO_PYTHON   interpreter that has oslo.messaging (default /usr/bin/python3)
#   GOSLO_OSLO_BOOKWORM, GOSLO_OSLO_TRIXIE
#                  image or root folder with that release's, instead of a new one
set -euo pipefail

# A command that this script runs, such as make, may call it again.
if [ -n "${GOSLO_TEST_ENV:-}" ] && [ $# -gt 0 ]; then exec "$@"; fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'test-env: %s\n' "$*" >&2; }

settings=()
set_() { # NAME VALUE
	export "$1=$2"
	settings+=("$1")
}

allowed() { [ -z "${GOSLO_BROKER:-}" ] || [ "$GOSLO_BROKER" = "$1" ]; }

# An engine answers, or could be started: that takes the right to mount, which
# most containers do not have.
engine_possible() {
	docker version >/dev/null 2>&1 ||
		{ [ "$(id -u)" = 0 ] && command -v apt-get && unshare --mount true; } >/dev/null 2>&1
}

# testcontainers takes itself to be in a container where /.dockerenv exists,
# and then looks for published ports at the gateway: wrong beside the engine.
engine_is_local() {
	[ -z "${DOCKER_HOST:-}" ] && grep -qsx dockerd /proc/[0-9]*/comm
}

packages=()
if [ -n "${RABBITMQ_URL:-}" ] && allowed url; then
	say "broker: the one in RABBITMQ_URL"
elif allowed docker && engine_possible && image=$("$here/broker-image.sh"); then
	say "broker: a container of $image"
	set_ GOSLO_RABBITMQ_IMAGE "$image"
	set_ TESTCONTAINERS_RYUK_DISABLED "${TESTCONTAINERS_RYUK_DISABLED:-true}"
	if [ -e /.dockerenv ] && engine_is_local; then
		set_ TESTCONTAINERS_HOST_OVERRIDE "${TESTCONTAINERS_HOST_OVERRIDE:-127.0.0.1}"
	fi
elif allowed native; then
	say "broker: a node of the rabbitmq-server package"
	set_ GOSLO_BROKER native
	if [ ! -x "${RABBITMQ_HOME:-/usr/lib/rabbitmq}/bin/rabbitmq-server" ]; then packages+=(rabbitmq-server); fi
else
	say "GOSLO_BROKER=$GOSLO_BROKER, and no such broker is to be had"
	exit 1
fi

if ! "${CC:-gcc}" -E -include stdlib.h -x c /dev/null >/dev/null 2>&1; then packages+=(gcc libc6-dev); fi

python=${GOSLO_PYTHON:-/usr/bin/python3}
oslo_version() { "$python" -c 'from importlib.metadata import version; print(version("oslo.messaging"))' 2>/dev/null; }
if ! oslo_version >/dev/null; then packages+=(python3-oslo.messaging); fi

if [ ${#packages[@]} -gt 0 ] && ! "$here/need.sh" "${packages[@]}"; then
	say "the tests need: ${packages[*]}"
	say "instead of rabbitmq-server: a Docker engine, or RABBITMQ_URL"
	say "instead of python3-oslo.messaging: python3 -m venv peer && peer/bin/pip install oslo.messaging &&" \
		"export GOSLO_PYTHON=\$PWD/peer/bin/python"
	exit 1
fi
version=$(oslo_version) || { say "$python has no oslo.messaging: unset GOSLO_PYTHON, or install it there"; exit 1; }

set_ GOSLO_PYTHON "$python"

# A machine that cannot have the other release skips its tests, and they say why. One
# that could and did not get it fails them.
for release in bookworm=14.0 trixie=16.1; do
	suite=${release%=*} name=GOSLO_OSLO_${suite^^}
	case $version in "${release#*=}".*) continue ;; esac
	if [ -n "${!name:-}" ]; then continue; fi
	status=0
	peer=$("$here/oslo-image.sh" "$suite") || status=$?
	case $status in
	0) set_ "$name" "$peer" ;;
	3)
		say "tests with oslo.messaging ${release#*=} will be skipped: $peer"
		set_ "${name}_MISSING" "$peer"
		;;
	*) say "no oslo.messaging ${release#*=}: its tests will fail" ;;
	esac
done
set_ GOSLO_REQUIRE_BROKER 1
set_ CGO_ENABLED 1

if [ $# -gt 0 ]; then
	export GOSLO_TEST_ENV=ready
	exec "$@"
fi
for name in "${settings[@]}"; do printf 'export %s=%q\n' "$name" "${!name}"; done
