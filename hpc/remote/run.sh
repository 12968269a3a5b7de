# run.sh LINE: one command, its output, exit code and complaints.
ask line "$1"
finish
