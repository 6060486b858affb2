#!/bin/sh
# First program of a test machine: load the disk's drivers, wait for the root that the command line names, go on there.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/mod/$module" 2>/dev/null || echo "initrd: no $module"
done </mod/order
root='' options=ro
read -r line </proc/cmdline
for word in $line; do
    case $word in
        root=*) root=${word#root=} ;;
        rw) options=rw ;;
    esac
done
waited=0
while [ ! -b "$root" ]; do
    waited=$((waited + 1))
    if [ $waited -gt 600 ]; then
        echo "initrd: no root $root"
        exec sh
    fi
    sleep 0.2
done
mount -t ext4 -o "$options" "$root" /newroot || exec sh
umount /proc /sys
mount --move /dev /newroot/dev
exec switch_root /newroot /sbin/init
