# scratch.sh ROOT DAYS: the folders of assets that nothing was written to for so many days.
cd "$1/assets" || { say trouble "there is no folder $1/assets"; finish; }
find . -mindepth 1 -maxdepth 1 -type d -mtime "+$2" 2>/dev/null | sed 's|^\./||' | label old
finish
