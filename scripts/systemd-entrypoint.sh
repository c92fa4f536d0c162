#!/bin/sh
# systemd-entrypoint.sh - entry point of the image that systemd-image.sh builds.
#
# systemd wants one unified hierarchy of control groups that it may write to. It
# gets a branch of the machine's, seen from there as the whole, whatever the engine
# has mounted.
set -eu

umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Branches of containers that are gone; one that is in use does not go away.
find /sys/fs/cgroup -depth -type d -path '*/goslo-systemd-*' -exec rmdir {} + 2>/dev/null || true
branch=/sys/fs/cgroup/goslo-systemd-$(cat /proc/sys/kernel/random/uuid)
mkdir "$branch"
echo $$ >"$branch/cgroup.procs"
umount /sys/fs/cgroup
# A name space of control groups begins where its maker is. This stays the first process.
exec unshare --cgroup sh -c '
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t tmpfs tmpfs /run
	mount -t tmpfs tmpfs /tmp
	exec /sbin/init --show-status=0'
