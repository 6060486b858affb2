#!/bin/sh
# What a test machine needs and a door must not have: a virtual camera, simulated pins, a root shell on a serial line.
#
#   ci.sh ROOT
set -eu

root=${1:?usage: ci.sh ROOT}
here=$(cd "$(dirname "$0")/.." && pwd)

cp -R --no-preserve=ownership "$here/overlay/ci/." "$root/"
install -d "$root/usr/share/kiosk/frames" "$root/usr/lib/systemd/system/multi-user.target.wants"
cp -R --no-preserve=ownership "${KIOSK_FRAMES:?names the folder of pictures for the virtual camera}/." \
    "$root/usr/share/kiosk/frames/"
for unit in kiosk-ci-shell.service kiosk-ci-pins.service; do
    ln -sf "../$unit" "$root/usr/lib/systemd/system/multi-user.target.wants/$unit"
done
