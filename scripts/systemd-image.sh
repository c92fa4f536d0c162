#!/usr/bin/env bash
# systemd-image.sh - build an image with systemd from Debian packages.
#
#   systemd-image.sh [--fresh] [bookworm|trixie] [TAG]
#
# trixie (the default) gives systemd 257, bookworm 252. TAG defaults to
# goslo-test/systemd:SUITE. The last line on standard output is the tag. Its
# containers need the right to mount (SYS_ADMIN, and neither seccomp's nor
# AppArmor's usual profile); systemd is their first process. Status 3: not to be had here, and the
# line says why; an engine is not installed for this.
#
# A tag that this same recipe made is left alone. The compressed root file system
# is kept in a cache.
#
#   --fresh           ignore the image and the cache; fetch the packages again
#   GOSLO_CACHE_DIR   where the cache lies (default ~/.cache/goslo)
#   DEBIAN_MIRROR     mirror to use instead of the one apt is set up with
set -euo pipefail

# shellcheck source=scripts/debian-image.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian-image.sh"
image_arguments systemd "$@"
image_rootfs 2 systemd,systemd-sysv,procps
recipe=$(image_recipe "$here/systemd-image.sh" "$here/systemd-entrypoint.sh")

"$here/docker-up.sh" --check 2>/dev/null || unable "no Docker engine answers"
if image_made "$recipe"; then
	echo "$tag"
	exit 0
fi
# Nothing but what units need: no network of its own, no logins, no devices.
# shellcheck disable=SC2016 # the variable is for mmdebstrap's shell
image_unpack 'ln -sf /lib/systemd/system/basic.target "$1"/etc/systemd/system/default.target; ln -sf /dev/null "$1"/etc/systemd/system/systemd-firstboot.service'

install -d "$work/top/usr/local/bin"
install -m 755 "$here/systemd-entrypoint.sh" "$work/top/usr/local/bin/systemd-entrypoint.sh"
tar -C "$work/top" --owner=0 --group=0 --numeric-owner --no-recursion -rf "$work/rootfs.tar" ./usr/local/bin/systemd-entrypoint.sh
say "importing $tag (systemd $(image_version systemd))"
image_import "$recipe" \
	--change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
	--change 'ENV LANG=C.UTF-8' \
	--change 'ENV container=docker' \
	--change 'ENTRYPOINT ["systemd-entrypoint.sh"]' \
	--message 'systemd from Debian packages'
