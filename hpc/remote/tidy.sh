# tidy.sh ROOT DAYS: remove what is over; the keys of open batches come on stdin and stay.
# Tokens of ended batches go at once, folders after DAYS, uploads that were cut after a day.
root=$1 days=$2
cd "$root" || { say trouble "there is no folder $root"; finish; }
open=" $(tr '\n' ' ') "
for folder in batches/*; do
    key=${folder##*/}
    case $open in *" $key "*) continue ;; esac
    # One just placed by a driver that began after the list was made is young.
    [ -n "$(find "$folder" -maxdepth 0 -mmin +60 2>/dev/null)" ] || continue
    # Asked before anything is removed from it, which would make it young again.
    if [ -n "$(find "$folder" -maxdepth 0 -mtime "+$days" 2>/dev/null)" ]; then
        rm -rf "$folder" "batches/.locks/$key" && say removed "$folder"
    elif [ -e "$folder/tokens" ]; then
        rm -f "$folder/tokens"
    fi
done
find incoming -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +
find scripts-run -mindepth 1 -maxdepth 1 -mtime "+$days" -exec rm -rf {} + 2>/dev/null
finish
