# Comes before each script: how answers are written. The first argument is the call's mark.
mark=$1
shift
umask 077
# A link that breaks must not stop what has begun, least of all half a submission.
trap '' HUP PIPE
say() { printf '%s %s\n' "$mark" "$*"; }
label() { sed "s|^|$mark $1 |"; }
# label KIND: the lines of stdin as lines of that kind.
# ask KIND LINE: run a line; print its output, its exit code and what it wrote to stderr.
ask() {
    { complaint=$( { { eval "$2"; printf '\n@%s\n' "$?"; } </dev/null | label "$1" >&3; } 2>&1); } 3>&1
    printf '%s\n' "$complaint" | label "$1-complaint"
}
# lost FILE: whether a program's complaints are those of an answer that did not come; $lost_words
# is set before this, from where answers are read (hpc/scheduler/refusals.py).
lost() { grep -Eiq -- "$lost_words" "$1"; }
# fresh FOLDER: a client of a shared disk may show it as it was a minute ago, until it writes there.
fresh() { { true >"$1/.look-$mark" && rm -f "$1/.look-$mark"; } 2>/dev/null; }
finish() {
    say end
    exit 0
}
# What a start-up file wrote last may have left its line open.
printf '\n'
