# remove.sh ROOT: remove the folders of assets, a name a line on stdin; those gone are listed.
cd "$1/assets" || { say trouble "there is no folder $1/assets"; finish; }
while IFS= read -r name; do
    case $name in '' | .* | */*) continue ;; esac
    # What a link leads to is not ours.
    [ -L "$name" ] || rm -rf "./$name"
    [ -e "$name" ] || [ -L "$name" ] || say gone "$name"
done
finish
