# send.sh ROOT {KEY first|again SUBMIT QUEUE HISTORY}...: a tar on stdin, then one submission each.
# A key is submitted once: a later call gets its id, or looks for its job by name.
root=$1
shift
cd "$root" || { say trouble "there is no folder $root"; finish; }
incoming="incoming/$mark"
mkdir -p "$incoming" batches/.locks bin || { say trouble "$root cannot be written"; finish; }
complaint=$(tar -xzf - --no-same-owner -C "$incoming" 2>&1) || {
    rm -rf "$incoming"
    say trouble "unpacking: $(printf '%s' "$complaint" | tr '\n' ' ')"
    finish
}
# The last member of the tar: without it, the link was cut where one file ends.
[ -e "$incoming/sealed" ] || { rm -rf "$incoming"; say trouble "unpacking: the tar was cut"; finish; }
for file in "$incoming"/bin/*; do
    [ -e "$file" ] && mv -f "$file" bin/
done

clean() {
    env -i PATH="$PATH" HOME="$HOME" USER="${USER:-}" LOGNAME="${LOGNAME:-}" LANG=C.UTF-8 \
        ${SLURM_CONF:+"SLURM_CONF=$SLURM_CONF"} ${LD_LIBRARY_PATH:+"LD_LIBRARY_PATH=$LD_LIBRARY_PATH"} "$@"
}

keep() {
    printf '%s\n' "$2" >"batches/$1/.id" && mv "batches/$1/.id" "batches/$1/id"
    say id "$1 $2"
}

# adopt KEY QUEUE HISTORY: 0 when the outcome of an earlier try is printed, 1 when none is found.
adopt() {
    folder="batches/$1"
    for question in "$2" "$3"; do
        [ -n "$question" ] || continue
        found=$(eval "$question" 2>"$folder/adopt.err" </dev/null) && ! lost "$folder/adopt.err" || {
            say unreadable "$1 $(tr '\n' ' ' <"$folder/adopt.err")"
            return 0
        }
        ids=$(printf '%s\n' "$found" | sed -n 's/^[[:space:]]*\([0-9][0-9]*\)[^[:space:]]*[[:space:]]*$/\1/p' | sort -u)
        [ -n "$ids" ] || continue
        keep "$1" "$(printf '%s\n' "$ids" | head -n 1)"
        for id in $(printf '%s\n' "$ids" | tail -n +2); do say double "$1 $id"; done
        return 0
    done
    return 1
}

submit() (
    key=$1 again=$2 line=$3 queue=$4 history=$5
    folder="batches/$key"
    exec 9>"batches/.locks/$key"
    flock -n 9 2>/dev/null
    [ "$?" -ne 1 ] || { say busy "$key"; return; }
    [ -s "$folder/id" ] && { say id "$key $(cat "$folder/id")"; return; }
    if [ -d "$folder/try" ]; then
        adopt "$key" "$queue" "$history" && return
        [ "$again" = again ] || { say absent "$key"; return; }
    else
        rm -rf "$folder" && mv "$incoming/$key" "$folder" || { say trouble "cannot place $key"; return; }
        mkdir "$folder/try" || { say busy "$key"; return; }
    fi
    cd "$folder" || { say trouble "cannot enter $folder"; return; }
    eval "clean $line" >answer 2>complaint </dev/null 9>&-
    code=$?
    id=$(sed -n 's/^[[:space:]]*\([0-9][0-9]*\)\(;[^ ]*\)\{0,1\}[[:space:]]*$/\1/p' answer | tail -n 1)
    cd "$root" || return
    [ -n "$id" ] && { keep "$key" "$id"; return; }
    label out <"$folder/answer"
    label err <"$folder/complaint"
    say failed "$key $code"
)

while [ "$#" -ge 5 ]; do
    submit "$1" "$2" "$3" "$4" "$5"
    shift 5
done
rm -rf "$incoming"
finish
