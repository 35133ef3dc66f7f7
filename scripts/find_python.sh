#!/usr/bin/env bash
# Print the interpreter that set-up uses: $PYTHON if it is set, else the first on the path that fits.
#   find_python.sh            one path, or a sentence that says what is missing (exit 1)
#   find_python.sh --system   the same, but the operating system's own interpreter is asked first
#   find_python.sh --newest   the newest that fits
# An interpreter fits when it is CPython of a supported version on Linux x86-64 and can make virtual environments.
set -u
SUPPORTED="3.11, 3.12 or 3.13"

# Say the version of an interpreter that fits ("3.11.2"); otherwise say why not, and fail.
judge() {
    "$1" - <<'PYTHON' 2>/dev/null || { "$1" -c '' </dev/null >/dev/null 2>&1 || echo "it does not run"; return 1; }
import platform, sys
version = ".".join(map(str, sys.version_info[:3]))
reasons = []
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    reasons.append("it is Python " + version)
if platform.python_implementation() != "CPython":
    reasons.append("it is " + platform.python_implementation())
if (sys.platform, platform.machine()) != ("linux", "x86_64"):
    reasons.append("it runs on " + sys.platform + " " + platform.machine())
try:
    import ensurepip, venv
except ImportError:
    reasons.append("it has no ensurepip (Debian: apt-get install python3-venv)")
print("; ".join(reasons) or version)
sys.exit(1 if reasons else 0)
PYTHON
}

candidates() {
    if [ "${1:-}" = --system ]; then echo /usr/bin/python3; fi
    local name
    for name in python3 python3.13 python3.12 python3.11; do type -ap "$name"; done
    ls -d "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/*/bin/python3 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    why=$(judge "$PYTHON") && { command -v "$PYTHON"; exit 0; }
    echo "winnow needs CPython $SUPPORTED on Linux x86-64; $PYTHON does not fit: $why." >&2
    exit 1
fi

best="" best_version="" refused=""
while read -r python; do
    said=$(judge "$python") || { refused="$refused  $python: $said"$'\n'; continue; }
    if [ "${1:-}" != --newest ]; then echo "$python"; exit 0; fi
    if [ "$(printf '%s\n' "$best_version" "$said" | sort -V | tail -n 1)" != "$best_version" ]; then
        best=$python best_version=$said
    fi
done < <(candidates "${1:-}" | awk '!seen[$0]++')
if [ -n "$best" ]; then echo "$best"; exit 0; fi
echo "winnow needs CPython $SUPPORTED on Linux x86-64, and found none. Name one with PYTHON=/path/to/python3. Looked at:" >&2
printf '%s' "${refused:-  no python3 on the path}" >&2
exit 1
