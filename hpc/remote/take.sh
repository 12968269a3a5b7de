# take.sh ROOT: KEY ATTEMPT a line on stdin; take the start of each, so that no job can have it.
# One that a job has already is listed with what that job wrote of itself.
cd "$1/batches" || { say trouble "there is no folder $1/batches"; finish; }
while read -r key attempt; do
    # Created without a check: that this machine does not see a batch's folder proves nothing.
    mkdir -p "$key/started"
    mine="$key/started/$attempt"
    if mkdir "$mine" 2>/dev/null; then
        : >"$mine/taken"
    fi
    if [ -e "$mine/taken" ]; then
        say taken "$attempt"
    elif [ -d "$mine" ]; then
        say started "$attempt $(cat "$mine/by" 2>/dev/null)"
    else
        say trouble "cannot make $mine"
    fi
done
finish
