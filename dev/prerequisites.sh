#!/usr/bin/env bash
# Say plainly what this machine lacks, and how to get it. Called by the Makefile before anything is installed.
# `prerequisites.sh chromium` asks for a browser instead; as root on Debian it installs one.
set -u
missing=0
lacks() { printf 'missing: %s\n         %s\n' "$1" "$2" >&2; missing=1; }

if [ "${1:-}" = chromium ]; then
  for name in ${CHROMIUM_PATH:-chromium chromium-browser google-chrome-stable google-chrome}; do  # as in web/e2e/browser.mjs
    command -v "$name" >/dev/null && exit 0
  done
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "==> Installing Chromium for the browser tests"
    log=$(mktemp)
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1 && exit 0
    tail -n 20 "$log" >&2
  fi
  lacks "Chromium, for the browser tests" "Debian and Ubuntu: sudo apt-get install chromium; elsewhere set CHROMIUM_PATH"
  exit $missing
fi

python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null ||
  lacks "Python 3.11, 3.12 or 3.13 as python3" "Debian 12: sudo apt-get install python3 python3-venv; anywhere: https://docs.astral.sh/uv/"
command -v uv >/dev/null || python3 -c 'import ensurepip, venv' 2>/dev/null ||
  lacks "uv, or Python's venv module to install it with" "pip install uv, or: sudo apt-get install python3-venv"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null ||
  lacks "Node.js 20 or later" "https://nodejs.org/en/download, or your package manager"
command -v npm >/dev/null || lacks "npm" "it comes with Node.js"

# Elasticsearch needs 21; the newest one found is used for everything.
newest=0
for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" $(command -v java) /usr/lib/jvm/*/bin/java; do
  [ -x "$java" ] || continue
  major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${major:-0}" -gt "$newest" ] && newest=$major
done
[ "$newest" -ge 21 ] ||
  lacks "a JDK of version 21 or later (found: $newest), for Elasticsearch, Kafka and Spark" "https://adoptium.net/temurin/releases, or Debian 13 and Ubuntu: sudo apt-get install openjdk-21-jdk-headless"
exit $missing
