#!/bin/sh
# What only a Raspberry Pi needs: Wi-Fi's files and the firmware's own settings beside the kernel.
#
#   rpi.sh ROOT
set -eu

root=${1:?usage: rpi.sh ROOT}
here=$(cd "$(dirname "$0")/.." && pwd)

cp -R --no-preserve=ownership "$here/overlay/rpi/." "$root/"
install -d "$root/boot/firmware"
install -m 644 "$here/boot/config.txt" "$root/boot/firmware/config.txt"

# The maker's kernel knows the key of the list of channels as its authors sign it, not Debian's: with Debian's copy no country is known.
for name in regulatory.db regulatory.db.p7s; do
    [ ! -e "$root/usr/lib/firmware/$name-upstream" ] || ln -sfn "/usr/lib/firmware/$name-upstream" "$root/etc/alternatives/$name"
done
