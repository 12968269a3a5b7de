# script.sh ROOT KEY SCRIPTS LINE: run a script of the site's own, once per key; its exit code.
root=$1 key=$2 scripts=$3 line=$4
cd "$root" || { say trouble "there is no folder $root"; finish; }
folder="$root/scripts-run/$key"
mkdir -p "$folder" || { say trouble "$folder cannot be made"; finish; }
exec 9>"$folder/lock"
flock -n 9 2>/dev/null
[ "$?" -ne 1 ] || { say busy; finish; }
if [ ! -s "$folder/code" ]; then
    mkdir "$folder/try" 2>/dev/null || {
        say unknown
        tail -c 2000 "$folder/out" 2>/dev/null | label out
        finish
    }
    cd "$scripts" || { rm -rf "$folder"; say trouble "there is no folder $scripts"; finish; }
    eval "$line" >"$folder/out" 2>"$folder/err" </dev/null 9>&-
    printf '%s\n' "$?" >"$folder/.code" && mv "$folder/.code" "$folder/code"
fi
say code "$(cat "$folder/code")"
tail -c 2000 "$folder/out" | label out
tail -c 2000 "$folder/err" | label err
finish
