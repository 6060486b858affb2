#!/bin/sh
# Put the station into a root file system: plain files only, so that nothing of the board's processor has to run.
#
#   station.sh ROOT SITE [WIRING]: a file in config/boards/ to begin with, without .yaml; "none" leaves it to the card
set -eu

root=${1:?usage: station.sh ROOT SITE} site=${2:?usage: station.sh ROOT SITE} wiring=${3:-none}
here=$(cd "$(dirname "$0")/.." && pwd)
project=$(dirname "$here")

install -d "$root/usr/lib/kiosk/site" "$root/usr/share/kiosk/boards" "$root/etc/kiosk"
cp -R --no-preserve=ownership "$site/." "$root/usr/lib/kiosk/site/"
"$project/systemd/install.sh" "$root"
cp -R --no-preserve=ownership "$here/overlay/station/." "$root/"
install -m 644 "$project"/config/boards/*.yaml "$root/usr/share/kiosk/boards/"
# take-config keeps it where no kiosk.yaml has come by the card.
[ "$wiring" = none ] || install -m 644 "$project/config/boards/$wiring.yaml" "$root/usr/share/kiosk/kiosk.yaml"

# The fleet's public keys, where the build knows them: without them no update is taken and no provisioning code is believed.
for name in fleet.pem authority.pem update-ca.pem; do
    [ -e "${KIOSK_KEYS:-$project/build/keys}/$name" ] || continue
    install -m 644 "${KIOSK_KEYS:-$project/build/keys}/$name" "$root/etc/kiosk/$name"
done

# Users are made here and not at boot: the root is read-only then.
SYSTEMD_LOG_LEVEL=err systemd-sysusers --root="$root"

wants=$root/usr/lib/systemd/system/multi-user.target.wants
install -d "$wants"
for unit in kiosk-provision.service kiosk-code.service kiosk-prove.service kiosk-fetch.timer kiosk-update.path kiosk-ssh.service \
    systemd-networkd.service systemd-resolved.service; do
    ln -sf "../$unit" "$wants/$unit"
done
install -d "$root/usr/lib/systemd/system/sysinit.target.wants"
for unit in kiosk-grow.service systemd-timesyncd.service; do
    ln -sf "../$unit" "$root/usr/lib/systemd/system/sysinit.target.wants/$unit"
done
