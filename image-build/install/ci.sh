#!/bin/sh
# What a test machine needs and a door must not have: a virtual camera, simulated pins, a root shell on a serial line.
#
#   ci.sh ROOT
set -eu

root=${1:?usage: ci.sh ROOT}
here=$(cd "$(dirname "$0")/.." && pwd)

cp -R --no-preserve=ownership "$here/overlay/ci/." "$root/"
units=$root/usr/lib/systemd/system
install -d "$root/usr/share/kiosk/frames" "$units/multi-user.target.wants" "$units/sysinit.target.wants"
cp -R --no-preserve=ownership "${KIOSK_FRAMES:?names the folder of pictures for the virtual camera}/." \
    "$root/usr/share/kiosk/frames/"
ln -sf ../kiosk-ci-shell.service "$units/sysinit.target.wants/kiosk-ci-shell.service"
ln -sf ../kiosk-ci-pins.service "$units/multi-user.target.wants/kiosk-ci-pins.service"
