#!/bin/sh
# What only a Raspberry Pi needs: Wi-Fi's network file and the firmware's own settings beside the kernel.
#
#   rpi.sh ROOT
set -eu

root=${1:?usage: rpi.sh ROOT}
here=$(cd "$(dirname "$0")/.." && pwd)

cp -R --no-preserve=ownership "$here/overlay/rpi/." "$root/"
install -d "$root/boot/firmware"
install -m 644 "$here/boot/config.txt" "$root/boot/firmware/config.txt"
