#!/bin/sh
# No object of these libraries may touch vector or x87 registers: the guest's are in them. Of cpu/
# the files named fpu* are excepted, which is where the guest's FPU lives.
set -u
bad=0
[ $# -gt 0 ] || { echo "usage: vectors.sh LIBRARY..."; exit 1; }
for library; do
    [ -r "$library" ] || { echo "$library: not there"; exit 1; }
    found=$(objdump -d --no-show-raw-insn "$library" | awk '
        /^[^ ]+\.o: / { object = $1; sub(/:$/, "", object) }
        /^[0-9a-f]+ <.*>:$/ { symbol = $2 }
        object ~ /^fpu/ { next }
        /%[xyz]mm[0-9]|%mm[0-7]|%st[(,]|\tf(ld|st|xsave|xrstor|nsave|rstor)/ {
            key = object " " symbol
            if (!seen[key]++)
                print object ": " symbol " " $0
        }')
    [ -z "$found" ] || { echo "$found"; bad=1; }
done
exit $bad
