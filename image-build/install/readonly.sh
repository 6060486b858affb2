#!/bin/sh
# Make a root file system one that nothing writes to and nobody logs in to.
#
#   readonly.sh ROOT
set -eu

root=${1:?usage: readonly.sh ROOT}
here=$(cd "$(dirname "$0")/.." && pwd)

cp -R --no-preserve=ownership "$here/overlay/readonly/." "$root/"
install -d "$root/state"

# The configuration is written by provisioning, so it lies on the state partition.
ln -sfn /var/lib/kiosk/etc/kiosk.yaml "$root/etc/kiosk/kiosk.yaml"
# So do public keys that the build did not know: they come by the boot partition.
for name in fleet.pem authority.pem; do
    [ -e "$root/etc/kiosk/$name" ] || ln -sfn "/var/lib/kiosk/etc/$name" "$root/etc/kiosk/$name"
done
ln -sfn /run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
ln -sfn ../proc/self/mounts "$root/etc/mtab"
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"

# No login anywhere: no prompt is started, and every account is locked.
for unit in getty@.service serial-getty@.service console-getty.service getty.target \
    systemd-journal-catalog-update.service systemd-pcrmachine.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
# Nor by SSH, but for a key that was put on the card: kiosk-ssh.service. No key of the build's own is in any image, and none
# of the sockets that systemd makes where it finds a server.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/systemd/system/*.wants/ssh*
for unit in ssh.service ssh.socket sshd.service sshd@.service sshd-unix-local.socket sshd-vsock.socket sshd-keygen.service; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
install -d "$root/etc/systemd/system-generators"
ln -sfn /dev/null "$root/etc/systemd/system-generators/systemd-ssh-generator"
# What a station has no use for: each is one thing less to start, and one thing less to attack.
for unit in dev-hugepages.mount proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount systemd-ask-password-console.path systemd-ask-password-wall.path systemd-binfmt.service \
    systemd-hibernate-clear.service systemd-journal-flush.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
    systemd-rfkill.socket systemd-sysext.socket systemd-tpm2-setup.service systemd-tpm2-setup-early.service \
    systemd-update-done.service; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
sed -i -E 's/^([^:]+):[^:]*:/\1:!*:/' "$root/etc/shadow"
rm -f "$root/etc/shadow-" "$root/etc/passwd-" "$root/etc/group-" "$root/etc/gshadow-" "$root/etc/.pwd.lock"
sed -i -E 's/^([^:]+:[^:]*):[^:]*:/\1:19675:/' "$root/etc/shadow"

# What differs from one build to the next and is of no use in a read-only root.
rm -rf "$root"/var/log/* "$root"/var/cache/* "$root"/var/lib/apt/lists/* "$root"/tmp/* "$root/run"/*
rm -f "$root/var/lib/systemd/random-seed" "$root/etc/hostname" "$root/var/lib/dpkg/available"
printf 'kiosk\n' >"$root/etc/hostname"
