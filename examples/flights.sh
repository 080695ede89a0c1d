#!/usr/bin/env bash
# Lands 200,000 real flights in a table with curl, and asks which hours to avoid.
#
#   make run                      # in another terminal
#   examples/flights.sh           # or: ARROWPORT_URL=http://127.0.0.1:8888 examples/flights.sh
set -euo pipefail
url=${ARROWPORT_URL:-http://127.0.0.1:8888}
file=$(dirname "$0")/../tests/data/flights/flights-200k.arrow

# An Arrow file is an Arrow stream between a magic of 8 bytes and a footer, whose length
# stands before the last 6 bytes. (`arrowport ingest flights FILE` takes files as they are.)
as_stream() {
  local size footer
  size=$(wc -c <"$1")
  footer=$(tail -c 10 "$1" | od -An -td4 -N4)
  tail -c +9 "$1" | head -c $((size - 8 - footer - 10))
}

ask() { # SQL [ACCEPT]
  curl --silent --show-error --fail-with-body "$url/query" \
    --header 'Content-Type: application/sql' --header "Accept: ${2:-application/json}" --data-binary "$1"
}

# Start from nothing, so that the script can run again.
ask 'DROP TABLE IF EXISTS flights' >/dev/null

as_stream "$file" | curl --silent --show-error --fail-with-body --request POST "$url/ingest/flights" \
  --header 'Content-Type: application/vnd.apache.arrow.stream' --upload-file -

echo 'The three hours of departure with the most delay:'
ask "SELECT floor(time)::INTEGER AS hour, count(*) AS flights, round(avg(delay), 1) AS minutes
     FROM flights GROUP BY hour HAVING count(*) > 1000 ORDER BY minutes DESC LIMIT 3" text/csv
