"""Load by librdkafka: produces COUNT records of SIZE bytes and prints `<seconds> <errors>` from the first to the last ack.

usage: produce.py BOOTSTRAP TOPIC COUNT SIZE [key=value ...]    The rest are librdkafka's settings.
"""

import sys
import time

from confluent_kafka import Producer

bootstrap, topic, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
settings = {"bootstrap.servers": bootstrap, "queue.buffering.max.kbytes": 262144, "queue.buffering.max.messages": 1000000}
settings.update(pair.split("=", 1) for pair in sys.argv[5:])
errors = 0


def delivered(error, _message):
    global errors
    if error is not None:
        errors += 1


# Only failures call back: a Python call per record would measure Python.
settings["delivery.report.only.error"] = True
producer = Producer(settings)
value = bytes(i * 31 % 251 for i in range(size))
producer.list_topics(topic, timeout=30)
start = time.monotonic()
for _ in range(count):
    while True:
        try:
            producer.produce(topic, value, on_delivery=delivered)
            break
        except BufferError:
            producer.poll(0.01)
while producer.flush(10):
    pass
print(f"{time.monotonic() - start:.3f} {errors}")
