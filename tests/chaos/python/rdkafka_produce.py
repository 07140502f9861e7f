"""librdkafka's idempotent producer, for watching it through faults.

usage: rdkafka_produce.py BOOTSTRAP TOPIC PARTITIONS RECORDS_PER_SECOND [KEY=VALUE ...]
Sends records `<partition>-<number>` to every partition in turn until its input is closed. Prints, by the machine's
monotonic clock in milliseconds: `send <partition> <name> <when>` as a record is handed over, `ack <partition> <name>
<offset> <when>` as it is acknowledged, `fail <partition> <name> <why>` when it is given up. Further arguments are
settings of librdkafka, which else has its own defaults.
"""

import sys
import threading
import time

from confluent_kafka import Producer

bootstrap, topic, partitions, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
settings = dict(argument.split("=", 1) for argument in sys.argv[5:])
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()


def now():
    return f"{time.monotonic() * 1000:.3f}"


def delivered(error, message):
    name = message.value().decode()
    if error is None:
        print("ack", message.partition(), name, message.offset(), now())
    else:
        print("fail", message.partition(), name, str(error).replace("\n", " "))


producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, **settings})
sequence = 0
due = time.monotonic()
while not stop.is_set():
    partition = sequence % partitions
    name = f"{partition}-{sequence // partitions}"
    begun = now()
    try:
        producer.produce(topic, name.encode(), partition=partition, on_delivery=delivered)
        print("send", partition, name, begun)
        sequence += 1
    except BufferError:
        # The queue is full: the same record again once there is room.
        pass
    due = max(due + 1 / rate, time.monotonic() - 0.1)
    producer.poll(max(0.0, due - time.monotonic()))
    sys.stdout.flush()
left = producer.flush(90)
sys.stdout.flush()
sys.exit(1 if left else 0)
