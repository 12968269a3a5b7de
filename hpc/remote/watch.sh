# watch.sh ROOT QUEUE HISTORY MAX STARTS: what the queue shows, and what batches left on the disk.
# The keys come on stdin, and as KEY/NAME the results that are known already. HISTORY empty: no question to accounting, and no evidence of ends.
# With it the folders are read as they are now, not as this machine last saw them.
# STARTS set: who started, where no job can say so itself.
# Results are read after ends: what a job left is there before its end can be seen.
# Starts are read after results: no result is printed without the start it belongs to.
root=$1 queue=$2 history=$3 max=$4 starts=$5
cd "$root" || { say trouble "there is no folder $root"; finish; }
keys='' known=' '
for word in $(cat); do
    case $word in */*) known="$known$word " ;; *) keys="$keys $word" ;; esac
done
[ -z "$queue" ] || ask queue "$queue"
if [ -n "$history" ]; then
    [ "$history" = none ] || ask history "$history"
    fresh batches
    for key in $keys; do
        fresh "batches/$key"
        fresh "batches/$key/ended"
        for file in "batches/$key/ended"/*; do
            [ -e "$file" ] || continue
            read -r code <"$file" && say ended "$key ${file##*/} $code"
        done
    done
fi
for key in $keys; do
    [ -z "$history" ] || fresh "batches/$key/results"
    for file in "batches/$key/results"/*.json; do
        [ -e "$file" ] || continue
        case $known in *" $key/${file##*/} "*) continue ;; esac
        [ "$max" -gt 0 ] || { say more; break 2; }
        max=$((max - 1))
        text=$(cat "$file") && say result "$key/${file##*/} $(printf '%s' "$text" | tr '\n' ' ')"
    done
done
for key in ${starts:+$keys}; do
    [ -z "$history" ] || fresh "batches/$key/started"
    for file in "batches/$key/started"/*/by; do
        [ -s "$file" ] || continue
        number=${file%/by}
        say started "${number##*/} $(cat "$file")"
    done
done
finish
