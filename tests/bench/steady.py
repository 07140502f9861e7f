"""Steady load by librdkafka in its default settings (idempotent), for watching a failover.

usage: steady.py BOOTSTRAP TOPIC PARTITIONS RECORDS_PER_SECOND
Sends to every partition in turn until its input is closed; prints `ack <partition> <milliseconds>` for every ack: when
its record was handed over, by the machine's monotonic clock.
"""

import sys
import threading
import time

from confluent_kafka import Producer

bootstrap, topic, partitions, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
failed = 0


def delivered(error, message):
    global failed
    if error is not None:
        failed += 1
        print("fail", message.partition(), error, flush=True)
    else:
        print("ack", message.partition(), message.value().decode(), flush=True)


producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
sequence = 0
due = time.monotonic()
while not stop.is_set():
    producer.produce(topic, f"{time.monotonic() * 1000:.3f}".encode(), partition=sequence % partitions, on_delivery=delivered)
    sequence += 1
    due += 1 / rate
    producer.poll(max(0.0, due - time.monotonic()))
producer.flush(60)
sys.exit(1 if failed else 0)
