#!/bin/sh
# Runs a command with NOVT_VMLINUX naming an uncompressed 32-bit Linux kernel: the one of the
# environment, else the kernel of guests/fetch, unpacked (the boot protocol's payload_offset and
# payload_length; Debian compresses with xz). Without one: says so and ends with 77, skipped.
set -eu

if [ -z "${NOVT_VMLINUX:-}" ]; then
    cache=${NOVT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/novt}
    image=$cache/guest/vmlinuz-686
    if [ ! -r "$image" ]; then
        echo "SKIPPED: no $image (guests/fetch gets it) and no NOVT_VMLINUX"
        exit 77
    fi
    field() { od -An -v -t "$3" -j "$1" -N "$2" "$image" | tr -d ' '; }
    sectors=$(field $((0x1f1)) 1 u1)
    offset=$(((sectors + 1) * 512 + $(field $((0x248)) 4 u4)))
    length=$(field $((0x24c)) 4 u4)
    NOVT_VMLINUX=$(mktemp)
    trap 'rm -f "$NOVT_VMLINUX"' EXIT
    # The last four bytes are the unpacked size, not part of the xz stream.
    payload() { tail -c +$((offset + 1)) "$image" | head -c $((length - 4)); }
    if ! payload | xz -dc > "$NOVT_VMLINUX"; then
        echo "SKIPPED: cannot unpack $image"
        exit 77
    fi
fi
export NOVT_VMLINUX
"$@"
