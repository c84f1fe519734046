#!/bin/sh
# build.sh CLANG SOURCE BUILD: configures and builds the fuzz targets with clang.
# 77: this clang has no libFuzzer.
set -eu
clang=$1 source=$2 build=$3

mkdir -p "$build"
printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n);\n%s\n' \
    'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n ? 0 : 0; }' \
    >"$build/probe.c"
if ! "$clang" -fsanitize=fuzzer,address,undefined "$build/probe.c" -o "$build/probe" 2>&1; then
    echo "SKIPPED: $clang cannot build fuzz targets (apt-get install libclang-rt-dev)"
    exit 77
fi
cmake -S "$source" -B "$build" -DCMAKE_C_COMPILER="$clang" -DCMAKE_BUILD_TYPE=Release \
    -DNOVT_FUZZ=ON
cmake --build "$build" --target fuzz_targets --parallel 2
