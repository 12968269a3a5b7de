# hello.sh ROOT RUNNER CONFIG HISTORY: make the site's folders and describe the site.
root=$1 runner=$2 config=$3 history=$4
mkdir -p "$root/batches/.locks" "$root/incoming" "$root/bin" "$root/assets" "$root/scripts-run" 2>&1 | label trouble
cd "$root" 2>/dev/null || { say trouble "there is no folder $root"; finish; }
[ -w "$root/batches" ] || say trouble "$root/batches cannot be written"
say clock "$(date +%s)"
say user "$(id -un)"
[ -s "bin/$runner" ] && say runner "$runner"
df -Pk . 2>/dev/null | awk 'NR == 2 { print $4 }' | label free_kb
for tool in awk find flock gzip sed tar sacct sbatch scancel scontrol squeue; do
    command -v "$tool" >/dev/null 2>&1 && say tool "$tool"
done
ask config "$config"
ask history "$history"
finish
