#!/bin/sh
# No line of source over 100 columns, no tab in C, no blank at a line's end; a comment at the head
# of each file of C; and no path of the machine that somebody works on. Data (.txt), listings and
# the rows of the big tables are excepted from the length.
set -u
bad=0
files=$(find . -type f ! -path './.git*' ! -path './build*' ! -path '*/__pycache__/*' \
    ! -name '*.txt' ! -path '*/golden/*' ! -name '*.def')
report() { # TEXT LINES
    [ -z "$2" ] || { echo "$1:"; echo "$2"; bad=1; }
}
sources=$(echo "$files" | grep -E '\.(c|h|S|inc|sh|py|cmake)$|CMakeLists' || true)
# shellcheck disable=SC2086 # lists of files without blanks
{
    report "over 100 columns" \
        "$(awk 'length > 100 { print FILENAME ":" FNR ": " length }' $sources)"
    report "tabs" "$(awk '/\t/ { print FILENAME ":" FNR }' $(echo "$sources" | grep -E '\.[ch]$'))"
    report "no comment at the head" "$(awk 'FNR == 1 && !/^(\/\*|# )/ { print FILENAME }' \
        $(echo "$sources" | grep -E '\.[chS]$'))"
    report "blanks at the end" "$(awk '/[ \t]$/ { print FILENAME ":" FNR }' $sources)"
    # Put together here so that this file does not hold them itself.
    report "paths of a machine" \
        "$(grep -nE "(^|[^[:alnum:]_.])/(wor""k|roo""t|hom""e/[a-z]+)/" $files)"
}
exit $bad
