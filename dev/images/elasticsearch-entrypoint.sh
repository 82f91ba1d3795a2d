#!/bin/bash
# What the official image's entrypoint is needed for: settings from the environment, and the elastic user's password.
set -euo pipefail

[ "${1:-eswrapper}" = eswrapper ] || exec "$@"

# A variable named as a setting is one: discovery.type=single-node. The shell cannot name these, env can.
settings=()
while IFS= read -r -d '' variable; do
  [[ $variable =~ ^[a-z][a-z0-9_]*\.[a-z0-9_.-]+= ]] && settings+=("-E$variable")
done < <(env --null)

if [ -n "${ELASTIC_PASSWORD_FILE:-}" ]; then
  ELASTIC_PASSWORD=$(<"$ELASTIC_PASSWORD_FILE")
fi
if [ -n "${ELASTIC_PASSWORD:-}" ]; then
  [ -f "${ES_PATH_CONF:-config}/elasticsearch.keystore" ] || elasticsearch-keystore create --silent
  printf '%s' "$ELASTIC_PASSWORD" | elasticsearch-keystore add --stdin --force --silent bootstrap.password
fi
unset ELASTIC_PASSWORD

exec elasticsearch "${settings[@]}"
