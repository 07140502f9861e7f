"""Reads COUNT records of a topic in a group, commits where it is, and prints `<partition> <offset> <value>` for each.

usage: confluent_commit.py BOOTSTRAP TOPIC GROUP COUNT
"""

import sys

from confluent_kafka import Consumer

bootstrap, topic, group, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        # What is not printed must not be committed.
        "enable.auto.offset.store": False,
    }
)
consumer.subscribe([topic])
seen = 0
while seen < count:
    message = consumer.poll(60)
    if message is None:
        sys.exit("nothing was read for a minute")
    if message.error() is not None:
        if message.error().retriable():
            continue
        sys.exit(str(message.error()))
    seen += 1
    print(message.partition(), message.offset(), message.value().decode())
    consumer.store_offsets(message)
consumer.commit(asynchronous=False)
consumer.close()
