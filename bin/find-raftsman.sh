# Read by the scripts beside it, with `here` set to their folder: puts the path of the program into RAFTSMAN.
# It is looked for beside the scripts, in a build of this repository, and on the PATH.
if [ -z "${RAFTSMAN:-}" ]; then
    for candidate in "$here/raftsman" "$here/../target/release/raftsman" "$(command -v raftsman 2>/dev/null)"; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            RAFTSMAN=$candidate
            break
        fi
    done
fi
if [ -z "${RAFTSMAN:-}" ]; then
    echo "raftsman is neither beside these scripts nor on the PATH: build it (cargo build --release), or set RAFTSMAN to its path" >&2
    exit 1
fi
