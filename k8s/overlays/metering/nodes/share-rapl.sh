#!/bin/sh
# Make the energy counters below a folder readable by one group, and see to it that they stay so: a driver that is
# loaded again makes new files. `share-rapl.sh FOLDER GROUP`; with EVERY_S=0 once. The owner of a file may give it to
# a group of its own without any capability.
set -u
trap 'exit 0' TERM INT # as the first process of a container it would not be ended by them otherwise
folder=$1 group=$2
while :; do
    for counter in "$folder"/intel-rapl*/energy_uj "$folder"/*/intel-rapl*/energy_uj "$folder"/*/*/intel-rapl*/energy_uj; do
        [ -e "$counter" ] || continue
        [ "$(stat -c %a:%g "$counter")" = "440:$group" ] && continue
        if chgrp "$group" "$counter" && chmod 0440 "$counter"; then
            echo "group $group may read $counter"
        else
            echo "could not share $counter" >&2
        fi
    done
    [ "${EVERY_S:-60}" != 0 ] || exit 0
    sleep "${EVERY_S:-60}" &
    wait $! # so that the signal to end is not kept waiting
done
