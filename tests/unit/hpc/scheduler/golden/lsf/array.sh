#!/bin/sh
{ . /etc/profile; module load python/3.11
} >/dev/null 2>&1 </dev/null
set +eu
cd '/home/museum/site'"'"'s/batches/b0123456789ab' || exit 1
native="${LSB_JOBID}[${LSB_JOBINDEX}]"
log="log/lsf-$native.out"
mkdir -p log && exec >>"$log" 2>&1
trap '' USR2
'/opt/my python/bin/python' ../../bin/runner-1.pyz --batch . --index "$((LSB_JOBINDEX - 1))" --native-id "$native" &
trap 'kill -USR1 "$runner" 2>/dev/null' USR2
trap 'kill -TERM "$runner" 2>/dev/null' INT
runner=$!
trap 'kill -USR1 "$runner" 2>/dev/null' USR1
trap 'kill -TERM "$runner" 2>/dev/null' TERM
while :; do
    wait "$runner"
    code=$?
    kill -0 "$runner" 2>/dev/null || break
done
mkdir -p ended && printf '%s\n' "$code" >"ended/.$native" && mv "ended/.$native" "ended/$native"
[ -s "$log" ] || rm -f "$log"
exit "$code"
