#!/usr/bin/env bash
# compose.sh - "docker compose" or "docker-compose", whichever is there, with an
# image of RabbitMQ that this machine can have (see broker-image.sh).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=$("$here/broker-image.sh")
export GOSLO_RABBITMQ_IMAGE=$image COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-goslo}

if docker compose version >/dev/null 2>&1; then exec docker compose "$@"; fi
command -v docker-compose >/dev/null || "$here/need.sh" docker-compose
exec docker-compose "$@"
