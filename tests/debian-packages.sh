#!/usr/bin/env bash
# Installs the Debian packages that tests start as real programs, and the typefaces they print
# in, where we may: as root, with apt. Elsewhere the tests that need one say which. One a line.
set -eu

packages=(
    chromium
    csh
    fish
    fonts-freefont-ttf
    fonts-liberation
    mksh
    munge
    openssh-client
    openssh-server
    prometheus
    slurm-client
    slurm-wlm-torque
    slurmctld
    slurmd
    tcsh
    zsh
)

missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null \
        | grep -qx installed || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, and tests that need them will say so: ${missing[*]}"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
