#!/bin/sh
{ . /etc/profile; module load python/3.11
} >/dev/null 2>&1 </dev/null
set +eu
cd '/home/museum/site'"'"'s/batches/b0123456789ab' || exit 1
native="${PBS_JOBID:-$SLURM_JOB_ID}"
log="log/torque-$native.out"
mkdir -p log && exec >>"$log" 2>&1
'/opt/my python/bin/python' ../../bin/runner-1.pyz --batch . --index "${PBS_ARRAYID:-${PBS_ARRAY_INDEX:-$SLURM_ARRAY_TASK_ID}}" --native-id "$native" &
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
