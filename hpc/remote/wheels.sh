# wheels.sh ROOT: a tar of wheels on stdin, put where pip finds them.
mkdir -p "$1/wheels" || { say trouble "$1/wheels cannot be made"; finish; }
complaint=$(tar -xf - --no-same-owner -C "$1/wheels" 2>&1) ||
    say trouble "the wheels do not arrive: $(printf '%s' "$complaint" | tr '\n' ' ')"
finish
