# place.sh ROOT: a tar of GUID/NAME files on stdin; each appears under assets/ complete or not at all.
cd "$1" || { say trouble "there is no folder $1"; finish; }
incoming="incoming/$mark"
mkdir -p "$incoming" || { say trouble "$incoming cannot be made"; finish; }
complaint=$(tar -xf - --no-same-owner -C "$incoming" 2>&1) && [ -e "$incoming/sealed" ] || {
    rm -rf "$incoming"
    say trouble "unpacking: $(printf '%s' "${complaint:-the tar was cut}" | tr '\n' ' ')"
    finish
}
rm -f "$incoming/sealed"
for file in "$incoming"/*/*; do
    [ -f "$file" ] || continue
    name=${file#"$incoming"/}
    mkdir -p "assets/${name%/*}" && mv -f "$file" "assets/$name" || say trouble "cannot place $name"
done
rm -rf "$incoming"
finish
