"""How long acks wait while a killed node comes back with much to fetch (docs/decisions/2026-11-30-returning-followers.md).

usage: returning.py RAFTSMAN [PARTITIONS [BACKLOG_MB [RATE_MB]]]     (1, 3000 and 20 if not given)
Starts three nodes of that program on loopback, in a directory of their own that is removed at the end. All partitions are led by
the first two; the third is killed, the backlog is written, and it is started again under a steady rate with acks=all.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

binary = sys.argv[1]
partitions, backlog_mb, rate_mb = (int(word) for word in (sys.argv[2:] + ["1", "3000", "20"][len(sys.argv) - 2 :])[:3])
RECORD = b"x" * 10_000
PATIENCE = 120


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def start(node):
    arguments = [binary, "server"]
    for key, value in {
        "node.id": node,
        "listeners": f"PLAINTEXT://127.0.0.1:{clients[node - 1]},CONTROLLER://127.0.0.1:{controllers[node - 1]}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(controllers, 1)),
        "log.dirs": os.path.join(folder, str(node)),
    }.items():
        arguments += ["--override", f"{key}={value}"]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.1)


class Load:
    """Sends to every partition in turn, and notes when each record was acknowledged and how long that took."""

    def __init__(self):
        limits = {"queue.buffering.max.messages": 2_000_000, "queue.buffering.max.kbytes": 2_000_000}
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2, **limits})
        self.acks, self.failures, self.sent = [], 0, 0

    def send(self):
        handed_over = time.monotonic()

        def delivered(error, _):
            self.failures += error is not None
            self.acks.append((time.monotonic(), time.monotonic() - handed_over))

        try:
            self.producer.produce("returning", RECORD, partition=self.sent % partitions, on_delivery=delivered)
            self.sent += 1
        except BufferError:
            self.producer.poll(0.01)

    def write(self, megabytes):
        end = self.sent + megabytes * 1_000_000 // len(RECORD)
        while self.sent < end:
            self.send()
            self.producer.poll(0)
        self.producer.flush(PATIENCE)
        self.acks.clear()

    def steady(self, is_over, what):
        began, sent, record_s = time.monotonic(), 0, len(RECORD) / (rate_mb * 1_000_000)
        while not is_over():
            if time.monotonic() - began >= sent * record_s:
                self.send()
                sent += 1
            self.producer.poll(max(0.0, min(0.001, began + sent * record_s - time.monotonic())))
        self.producer.flush(PATIENCE)
        took = sorted(seconds for _, seconds in self.acks)
        gap = max((later[0] - earlier[0] for earlier, later in zip(self.acks, self.acks[1:])), default=0)
        p50, p99 = (1000 * took[int(len(took) * share)] for share in (0.5, 0.99))
        print(f"{what}: {len(took)} acks, p50 {p50:.0f} p99 {p99:.0f} longest {1000 * took[-1]:.0f} ms, longest gap {1000 * gap:.0f} ms")
        self.acks.clear()


def for_seconds(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def in_sync():
    """Whether all replicas are, asked twice a second."""
    looked = [time.monotonic()]

    def is_over():
        if time.monotonic() - looked[0] < 0.5:
            return False
        looked[0] = time.monotonic()
        return all(len(state.isrs) == 3 for state in admin.list_topics("returning").topics["returning"].partitions.values())

    return is_over


with tempfile.TemporaryDirectory() as folder:
    ports = free_ports(6)
    clients, controllers = ports[:3], ports[3:]
    bootstrap = ",".join(f"127.0.0.1:{port}" for port in clients[:2])
    nodes = {node: start(node) for node in (1, 2, 3)}
    try:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        until("all nodes are there", lambda: len(admin.list_topics(timeout=PATIENCE).brokers) == 3)
        places = [[1 + index % 2, 2 - index % 2, 3] for index in range(partitions)]
        topic = NewTopic("returning", partitions, replica_assignment=places, config={"min.insync.replicas": "2"})
        admin.create_topics([topic])["returning"].result()
        load = Load()
        load.steady(for_seconds(3), "three nodes")
        nodes[3].kill()
        nodes[3].wait()
        load.write(backlog_mb)
        load.steady(for_seconds(3), "two nodes")
        began = time.monotonic()
        nodes[3] = start(3)
        load.steady(in_sync(), "while the third returns")
        print(f"in sync again after {time.monotonic() - began:.1f} s")
        load.steady(for_seconds(5), "three nodes")
        sys.exit(f"{load.failures} records failed" if load.failures else 0)
    finally:
        for node in nodes.values():
            node.kill()
            node.wait()
