#!/bin/sh
# Answers every task in a file of ids (one a line, # comments), as often as it takes.
#
#   examples/batch.sh ids.txt answers [options of ewval predict]
#
# Answers are kept in the folder, so a run that is interrupted or partly fails goes on where it stopped. Exit 3 means
# that some tasks failed: they are tried again, and named in answers/failed.txt if they never succeed.
set -u
ids=$1 answers=$2
shift 2
tries=${TRIES:-3}

while :; do
    ewval predict - --out "$answers" "$@" < "$ids"
    status=$?
    tries=$((tries - 1))
    # 0: all done. 3: some failed, 5: the server is away: worth another try. Anything else will not mend itself.
    case $status in
        3 | 5) [ "$tries" -gt 0 ] || break ;;
        *) break ;;
    esac
    sleep "${PAUSE_S:-30}"
done
[ ! -f "$answers/predictions.jsonl" ] || echo "answers: $answers/predictions.jsonl" >&2
exit "$status"
