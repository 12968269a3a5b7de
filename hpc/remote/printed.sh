# printed.sh ROOT BYTES: KEY LINE a line on stdin; the end of what those lines of batches printed.
# A line whose work never began has no such file, and nothing is said of it.
root=$1 bytes=$2 last=''
cd "$root/batches" || { say trouble "there is no folder $root/batches"; finish; }
while read -r key line; do
    [ "$key" = "$last" ] || fresh "$key/log"
    last=$key
    file="$key/log/$line.output"
    [ -r "$file" ] || continue
    { tail -c "$bytes" "$file"; echo; } | label "printed $key $line"
done
finish
