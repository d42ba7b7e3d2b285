#!/bin/sh
# The first process of new namespaces: makes the folder $1 its root, and becomes systemd.
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs none run
mount -t tmpfs none tmp
mount -t cgroup2 none sys/fs/cgroup
mount --rbind /dev dev
mkdir -p before
pivot_root . before
umount -l before
mount --make-rshared / # as on any machine: credentials come by a mount
exec env -i container=llamaq PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --show-status=no
