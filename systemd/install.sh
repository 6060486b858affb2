#!/bin/sh
# Put the services' files into a root file system; making users and folders is left to its systemd at boot.
#
#   install.sh ROOT
set -eu

root=${1:?usage: install.sh ROOT}
here=$(cd "$(dirname "$0")" && pwd)
lib=$root/usr/lib

install -d "$lib/systemd/system" "$lib/systemd/system/multi-user.target.wants" "$lib/sysusers.d" "$lib/tmpfiles.d" \
    "$lib/systemd/journald.conf.d" "$lib/systemd/system.conf.d" "$lib/kiosk/bin" "$root/usr/bin" "$root/usr/share/doc/kiosk"
install -m 644 "$here"/system/* "$lib/systemd/system/"
install -m 644 "$here"/sysusers.d/* "$lib/sysusers.d/"
install -m 644 "$here"/tmpfiles.d/* "$lib/tmpfiles.d/"
install -m 644 "$here"/journald.conf.d/* "$lib/systemd/journald.conf.d/"
install -m 644 "$here"/system.conf.d/* "$lib/systemd/system.conf.d/"
install -m 644 "$here"/../docs/services.md "$root/usr/share/doc/kiosk/services.md"
install -m 755 "$here"/bin/calm "$lib/kiosk/bin/calm"
install -m 755 "$here"/bin/kiosk "$root/usr/bin/kiosk"
ln -sf ../kiosk.target "$lib/systemd/system/multi-user.target.wants/kiosk.target"
