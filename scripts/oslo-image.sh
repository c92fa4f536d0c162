#!/usr/bin/env bash
# oslo-image.sh - build an image with Python's oslo.messaging from Debian packages.
#
#   oslo-image.sh [--fresh] [bookworm|trixie] [TAG]
#
# trixie (the default) gives oslo.messaging 16.1, bookworm 14.0. TAG defaults to
# goslo-test/oslo:SUITE. The last line on standard output is the tag. Where no
# Docker engine answers, root gets the path of an unpacked root file system
# instead, for chroot; an engine is not installed for this. Status 3: neither is
# to be had here, and the line says why.
#
# A tag or a folder that this same recipe made is left alone. The compressed root
# file system is kept in a cache.
#
#   --fresh           ignore the image and the cache; fetch the packages again
#   GOSLO_CACHE_DIR   where the cache lies (default ~/.cache/goslo)
#   DEBIAN_MIRROR     mirror to use instead of the one apt is set up with
set -euo pipefail

# shellcheck source=scripts/debian-image.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian-image.sh"
image_arguments oslo "$@"
image_rootfs 2 python3-oslo.messaging,python3-oslo.context
recipe=$(image_recipe "$here/oslo-image.sh")
folder=${rootfs%.tar.zst}

made() { # prints what is there
	if [ -n "$engine" ]; then image_made "$recipe" && echo "$tag"; else [ -z "$fresh" ] && [ -d "$folder" ] && echo "$folder"; fi
}

engine=''
if "$here/docker-up.sh" --check 2>/dev/null; then engine=1; fi
[ -n "$engine" ] || [ "$(id -u)" = 0 ] || unable "no Docker engine answers, and only root can use a root file system instead"
if made; then exit 0; fi
# shellcheck disable=SC2119 # no hook is needed
image_unpack
if [ -n "$engine" ]; then
	say "importing $tag (python3-oslo.messaging $(image_version python3-oslo.messaging))"
	image_import "$recipe" --change 'ENV LANG=C.UTF-8' --message 'oslo.messaging from Debian packages'
elif ! made; then # unless somebody else did meanwhile
	say "unpacking $folder"
	rm -rf "$folder" "$folder.part"
	mkdir "$folder.part"
	tar -C "$folder.part" --exclude='./dev/*' -xf "$work/rootfs.tar"
	mv "$folder.part" "$folder"
	echo "$folder"
fi
