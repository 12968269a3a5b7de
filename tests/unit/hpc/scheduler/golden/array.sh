#!/bin/sh
#SBATCH --no-requeue
#SBATCH --array=0-499%64
#SBATCH --output=log/slurm-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --time=00:05:00
#SBATCH --signal=B:USR1@50
#SBATCH --mem=2048M
#SBATCH --cpus-per-task=2
#SBATCH --gres=gpu:1
#SBATCH --partition=standard
#SBATCH --account=museum
#SBATCH --qos=normal
#SBATCH --exclude=n7,n9
native="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
'/opt/my python/bin/python' ../../bin/runner-1.pyz --batch . --index "$SLURM_ARRAY_TASK_ID" --native-id "$native" &
runner=$!
trap 'kill -USR1 "$runner" 2>/dev/null' USR1
trap 'kill -TERM "$runner" 2>/dev/null' TERM
while :; do
    wait "$runner"
    code=$?
    kill -0 "$runner" 2>/dev/null || break
done
mkdir -p ended && printf '%s\n' "$code" >"ended/.$native" && mv "ended/.$native" "ended/$native"
log="log/slurm-$native.out"
[ -s "$log" ] || rm -f "$log"
exit "$code"
