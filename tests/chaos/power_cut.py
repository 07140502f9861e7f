#!/usr/bin/env python3
"""Cuts the power of the metadata store while it writes, and looks at what is left.

Each trial makes a small ext4 file system, lets the writer half of crates/controller/src/raft/power_cut_tests.rs run on it,
shuts the file system down without flushing its journal (what a power cut leaves), mounts it again and runs the reader
half. Needs root, loop devices and mkfs.ext4; run it from the repository:

    tests/chaos/power_cut.py [trials]
"""

import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


def test_binary():
    built = subprocess.run(
        ["cargo", "test", "-p", "raftsman-controller", "--lib", "--no-run", "--message-format=json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    binaries = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "raftsman_controller"]
    return binaries[-1]


def half(binary, role, mount, acks):
    environment = dict(os.environ, RAFTSMAN_POWER_CUT_ROLE=role, RAFTSMAN_POWER_CUT_DIRECTORY=os.path.join(mount, "metadata"),
                       RAFTSMAN_POWER_CUT_ACKS=acks)
    name = {"write": "power_cut_writer", "read": "power_cut_reader"}[role]
    return subprocess.Popen([binary, "--ignored", "--nocapture", name], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def cut(mount):
    descriptor = os.open(mount, os.O_RDONLY)
    fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os.close(descriptor)


def trial(binary, home, seconds):
    image, mount, acks = (os.path.join(home, name) for name in ("image", "mount", "acks"))
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    os.makedirs(mount)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        writer = half(binary, "write", mount, acks)
        while not os.path.exists(acks):
            if writer.poll() is not None:
                return "the writer ended: " + writer.stdout.read()
            time.sleep(0.01)
        time.sleep(seconds)
        cut(mount)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        subprocess.run(["umount", mount], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        reader = half(binary, "read", mount, acks)
        output, _ = reader.communicate(timeout=120)
        if reader.returncode != 0:
            return output
        print("  " + next(line for line in output.splitlines() if line.startswith("acknowledged")), flush=True)
        return None
    finally:
        subprocess.run(["umount", mount], check=False)


def main():
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    binary = test_binary()
    failures = 0
    for number in range(trials):
        seconds = random.uniform(0.1, 3)
        print(f"trial {number + 1}, cut after {seconds:.2f} s", flush=True)
        with tempfile.TemporaryDirectory() as home:
            failure = trial(binary, home, seconds)
        if failure is not None:
            failures += 1
            print(failure, flush=True)
    print(f"{trials - failures} of {trials} power cuts lost nothing that was acknowledged")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
