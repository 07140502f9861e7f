"""Reads a topic from its beginning to its end with a kafka-python consumer group and prints `<partition> <offset> <value>`.

usage: kafka_python_consume.py BOOTSTRAP TOPIC GROUP
"""

import sys
import time

from kafka import KafkaConsumer, TopicPartition

bootstrap, topic, group = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
consumer = KafkaConsumer(
    topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
)
partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
ends = consumer.end_offsets(partitions)
left = {p for p in partitions if ends[p] > 0}
deadline = time.monotonic() + 60
while left:
    if time.monotonic() > deadline:
        sys.exit(f"still unread after a minute: {left}")
    for partition, messages in consumer.poll(timeout_ms=1000).items():
        for message in messages:
            print(message.partition, message.offset, message.value.decode())
        if messages and messages[-1].offset + 1 >= ends[partition]:
            left.discard(partition)
consumer.commit()
consumer.close()
