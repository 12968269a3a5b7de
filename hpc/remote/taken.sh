# taken.sh ROOT: result files that were applied, KEY/NAME a line on stdin, are set aside.
cd "$1" || { say trouble "there is no folder $1"; finish; }
while read -r name; do
    key=${name%/*} file=${name##*/}
    mv "batches/$key/results/$file" "batches/$key/results/$file.taken" 2>/dev/null
done
finish
