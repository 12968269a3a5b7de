# sizes.sh ROOT: GUID/NAME a line on stdin; the size in bytes of each file that is there.
cd "$1/assets" || { say trouble "there is no folder $1/assets"; finish; }
while IFS= read -r name; do
    [ -f "$name" ] && say size "$(wc -c <"$name" | tr -d ' ') $name"
done
finish
