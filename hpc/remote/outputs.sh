# outputs.sh ROOT GUID: a tar of files in an asset's folder, their names a line each on stdin.
# It follows the line `begin`, since start-up files may talk before; of no folder there is none.
say begin
fresh "$1/assets/$2"
cd "$1/assets/$2" 2>/dev/null || exit 0
exec tar -cf - -T - 2>/dev/null
