# shellcheck shell=bash
# debian-image.sh - what rabbitmq-image.sh and oslo-image.sh have in common. They
# build an image from Debian packages, for machines that reach a Debian mirror
# but no container registry, and source this file:
#
#   image_arguments NAME "$@"       reads [--fresh] [SUITE] [TAG]
#   image_rootfs REVISION PACKAGES  decides on the root file system
#   image_recipe FILES...           what identifies an image made of it and of these files
#   image_made RECIPE               true if the tag is there and has that recipe
#   image_unpack HOOKS...           writes the root file system to $work/rootfs.tar; the
#                                   hooks are shell commands that see it as "$1"
#   image_version PACKAGE           the version in it
#   image_import RECIPE WORDS...    makes it the tag, with these words for docker import
#
# Status 3 says that this machine cannot have the image, for a reason that is then
# all of the standard output. Any other failure is one to look into.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf '%s: %s\n' "$script" "$*" >&2; }
die() { say "$*"; exit 1; }
unable() { say "$*"; echo "$*"; exit 3; }

image_arguments() { # NAME ARGS...
	name=$1
	script=$name-image
	shift
	fresh='' suite=trixie
	if [ "${1:-}" = --fresh ]; then fresh=1; shift; fi
	case "${1:-}" in bookworm | trixie) suite=$1; shift ;; esac
	[ $# -le 1 ] || die "usage: $script.sh [--fresh] [bookworm|trixie] [TAG]"
	tag=${1:-goslo-test/$name:$suite}
	case $tag in -* | '') die "not a tag: '$tag'" ;; esac
	cache=${GOSLO_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/goslo}
}

hash_of() { sha256sum | cut -c1-"$1"; }

# Raise the revision when something else than the packages changes in the root file system.
image_rootfs() { # REVISION PACKAGES
	packages=$2
	rootfs_key=$(printf '%s\n' "$1" "$suite" "$packages" "$(dpkg --print-architecture)" | hash_of 12)
	rootfs=$cache/$name-$suite-$rootfs_key.tar.zst
}

image_recipe() { # FILES...
	{ cat "$here/debian-image.sh" "$@" && echo "$rootfs_key"; } | hash_of 16
}

image_made() { # RECIPE
	[ -z "$fresh" ] &&
		[ "$(docker image inspect -f '{{index .Config.Labels "goslo.recipe"}}' "$tag" 2>/dev/null)" = "$1" ]
}

image_unpack() { # HOOKS...
	mkdir -p "$cache"
	exec 8>"$cache/$name-$suite.lock"
	flock 8 # parallel callers build once
	work=$(mktemp -d "${TMPDIR:-/tmp}/$script.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	if [ -n "$fresh" ] || [ ! -s "$rootfs" ]; then
		make_rootfs "$@"
	else
		say "using the root file system in the cache"
		command -v zstd >/dev/null || "$here/need.sh" zstd
		zstd -q -d -f "$rootfs" -o "$work/rootfs.tar"
	fi
}

# apt knows its own sources, in whichever format they are written.
mirror_of() { # release name of the host's entry
	# shellcheck disable=SC2016 # the $(...) are apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk -v r="$1" '$2 == r && $3 == "main" { print $1; exit }'
}

# apt asks, so that its proxies and credentials count.
answers() { # mirror
	timeout 60 /usr/lib/apt/apt-helper -q download-file "${1%/}/dists/$suite/InRelease" "$work/InRelease" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; return 1; }
}

make_rootfs() { # HOOKS...
	command -v apt-get >/dev/null || unable "no apt-get here to fetch packages with"
	[ "$(id -u)" = 0 ] || unable "only root can build the root file system"
	local host mirror security
	# shellcheck disable=SC1091
	host=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	mirror=${DEBIAN_MIRROR:-$(mirror_of "$host")}
	if [ -z "$mirror" ]; then # apt knows them only once it has fetched their lists
		apt-get update -q >&2 || true
		mirror=$(mirror_of "$host")
	fi
	[ -n "$mirror" ] || unable "apt names no Debian mirror for $host; set DEBIAN_MIRROR"
	answers "$mirror" || unable "no Debian mirror answers for $suite"
	"$here/need.sh" mmdebstrap zstd
	security=$(mirror_of "$host-security")
	{
		echo "deb $mirror $suite main"
		if [ -n "$security" ]; then echo "deb $security $suite-security main"; fi
	} >"$work/sources"

	say "fetching and unpacking $packages from Debian $suite"
	local skip=() hooks=() path hook
	for path in doc man info locale lintian bug; do skip+=(--dpkgopt="path-exclude=/usr/share/$path/*"); done
	# The hooks' variable is for mmdebstrap's shell. No cookie, no data and no
	# mirror address may end up in the image.
	# shellcheck disable=SC2016
	hooks=(
		--customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/*'
		--customize-hook='rm -f "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/machine-id'
	)
	for hook in "$@"; do hooks+=(--customize-hook="$hook"); done
	mmdebstrap --quiet --variant=essential --include="$packages" "${skip[@]}" "${hooks[@]}" \
		"$suite" "$work/rootfs.tar" "$work/sources" >&2
	# Written beside, then renamed: a broken-off run leaves no half file behind.
	zstd -q -3 -T0 -f "$work/rootfs.tar" -o "$rootfs.$$"
	mv "$rootfs.$$" "$rootfs"
}

image_version() { # PACKAGE
	tar -xOf "$work/rootfs.tar" ./var/lib/dpkg/status |
		awk -v p="$1" '/^Package: /{is=$2} /^Version: /&&is==p{print $2}'
}

image_import() { # RECIPE WORDS...
	local recipe=$1
	shift
	docker import --change "LABEL goslo.recipe=$recipe" "$@" "$work/rootfs.tar" "$tag" >&2
	echo "$tag"
}
