"""Load by librdkafka: reads COUNT records of a topic from its beginning and prints `<seconds> <bytes>`.

usage: consume.py BOOTSTRAP TOPIC COUNT
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
seen = size = 0
start = time.monotonic()
while seen < count:
    messages = consumer.consume(10000, timeout=30)
    if not messages:
        sys.exit(f"only {seen} of {count} records came")
    seen += len(messages)
    size += sum(len(m.value()) for m in messages)
print(f"{time.monotonic() - start:.3f} {size}")
consumer.close()
