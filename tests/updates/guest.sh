#!/bin/sh
# The first process of the station's stand-in: this machine's programs under a kernel of its own, with a card that is laid out
# as a station's. Says what it does on the console; a power cut is the end of the machine, and the host's to make.
#
#   kernel command line: kiosk.project=FOLDER kiosk.work=FOLDER; WORK/cmdline, WORK/slot, WORK/job are read
set -eu

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
end() {
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
}
trap end EXIT

mount -t proc proc /proc
word() { sed -E "s/.*kiosk\.$1=([^ ]*).*/\1/" /proc/cmdline; }
project=$(word project) work=$(word work)

# The host's files, with a layer of memory over them.
modules=/usr/lib/uml/modules/$(uname -r)/kernel
for name in fs/overlayfs/overlay drivers/md/dm-mod drivers/md/dm-bufio drivers/md/dm-verity drivers/block/loop \
    fs/squashfs/squashfs fs/fat/fat fs/fat/vfat fs/nls/nls_cp437 fs/nls/nls_iso8859-1 fs/nls/nls_ascii; do
    insmod "$modules/$name.ko"
done
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mkdir -p state slot
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t hostfs -o "$work" hostfs mnt
cp -R --no-preserve=ownership "$project/image-build/overlay/station/." .
cp mnt/system.conf etc/rauc/system.conf
mkdir -p etc/kiosk
cp mnt/update-ca.pem etc/kiosk/
[ ! -d mnt/bin ] || cp mnt/bin/* usr/lib/kiosk/bin/
mkdir -p dev/disk/by-partuuid dev/disk/by-label run/dbus run/lock
for number in 1 2 3 5 6 7; do 
    ln -s "/dev/ubda$number" "dev/disk/by-partuuid/6b696f73-0$number"
    ln -s "/dev/ubda$number" "dev/mmcblk0p$number"
done
ln -s /dev/ubda1 dev/disk/by-label/KIOSK

cat >run/inside <<'INSIDE'
set -eu
read -r slot </mnt/slot
mount --bind /mnt/cmdline /proc/cmdline
case $slot in A) root=5 ;; B) root=6 ;; esac
mount -t ext4 -o ro,nodev,nosuid,noexec "/dev/ubda$root" /slot
cp /slot/usr/lib/kiosk/version /usr/lib/kiosk/version
umount /slot
mount -t ext4 -o noatime,nodev,nosuid,noexec /dev/ubda7 /state
dbus-daemon --system --fork --nopidfile
rauc service >/run/rauc.log 2>&1 &
for _ in $(seq 50); do
    rauc status >/run/rauc.status 2>&1 && break
    sleep 0.2
done
echo "GUEST up slot=$slot version=$(cat /usr/lib/kiosk/version)"
code=0
sh /mnt/job || code=$?
sed 's/^/rauc: /' /run/rauc.log
echo "GUEST job code=$code"
umount /state || true
INSIDE
chroot . sh /run/inside
