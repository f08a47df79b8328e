#!/usr/bin/env bash
# Make .venv with the project and its tools in the tested versions. A second call returns at once.
# Every fault is one line: what is wrong, and the mend.
set -u
cd "$(dirname "$0")/.." || exit 1
venv=.venv
stamp=$venv/.installed
fail() { printf 'workbench: %s\n' "$1" >&2; exit 1; }

want=$(cat pyproject.toml constraints.txt | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0

works() { "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
python=
for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null && works "$candidate" && { python=$candidate; break; }
done
[ -n "$python" ] || fail "no Python 3.11 to 3.13 found. Install one (Debian: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12 lab"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "$python has no venv module. Install it (Debian: apt install python3-venv)."
free_mb=$(df -Pm . | awk 'NR==2 {print $4}')
[ "$free_mb" -ge 5000 ] || fail "only ${free_mb} MB free on this disk; the environment needs about 5000 MB. Free some, or clone elsewhere."

[ -x $venv/bin/python ] || "$python" -m venv $venv || fail "cannot make $venv with $python. Remove $venv and try again."
log=$venv/install.log
pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 $venv/bin/python -m pip install --quiet "$@" >>"$log" 2>&1; }
: >"$log"
echo "workbench: installing into $venv (some minutes, about 3 GB; log: $log)"
# torch first and by its exact pin: what is on the machine for that pin (a CPU build, say) is then what stays.
pin=$(grep -E '^torch==' constraints.txt)
if pip "$pin" && pip --constraint constraints.txt --editable '.[dev]'; then
    printf '%s\n' "$want" >"$stamp"
else
    grep -qiE 'ConnectionError|NewConnectionError|Temporary failure|Name or service|No matching distribution|Max retries' "$log" \
        && fail "the packages cannot be fetched. Check the network or the package index that pip uses; details: $log"
    grep -qi 'No space left' "$log" && fail "the disk filled up. Free about 5000 MB and run the same command again."
    fail "installing failed: $(grep -E 'ERROR|error:' "$log" | tail -n 1). Details: $log"
fi
