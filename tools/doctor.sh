#!/bin/sh
# usage: doctor.sh PKG...   Says what is here and what is missing; exits 1 when a need is missing.
bad=0
say() { printf '%-16s %s\n' "$1" "$2"; }
need() {
    if v=$("$@" 2>&1 | head -n 1); [ -n "$v" ] && command -v "$1" >/dev/null; then say "$1" "$v"; else say "$1" "MISSING (make install)"; bad=1; fi
}
need cc --version
need pkg-config --version
need redis-server --version
for p in "$@"; do
    if v=$(pkg-config --modversion "$p" 2>/dev/null); then say "$p" "$v"; else say "$p" "MISSING (make install)"; bad=1; fi
done
for c in nginx ffmpeg clang clang-format node nvcc; do
    command -v "$c" >/dev/null && say "$c" "found" || say "$c" "not found (optional)"
done
say processor "$(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | sed 's/^ //')"
say vectors "$(grep -m1 -owE 'avx512_bf16|avx512f|avx2' /proc/cpuinfo | sort -u | tr '\n' ' ')"
[ -f models/tiny/model_index.json ] && say models/tiny "$(du -sh models/tiny | cut -f1)" || say models/tiny "none"
exit $bad
