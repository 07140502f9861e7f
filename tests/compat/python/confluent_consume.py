"""Reads a topic from its beginning to its end with a confluent-kafka consumer group and prints `<partition> <offset> <value>`.

usage: confluent_consume.py BOOTSTRAP TOPIC GROUP
"""

import sys

from confluent_kafka import Consumer, KafkaError

bootstrap, topic, group = sys.argv[1:4]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
)
consumer.subscribe([topic])
partitions = len(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
ended = set()
while len(ended) < partitions:
    message = consumer.poll(60)
    if message is None:
        sys.exit("nothing was read for a minute")
    if message.error() is None:
        ended.discard(message.partition())
        print(message.partition(), message.offset(), message.value().decode())
    elif message.error().code() == KafkaError._PARTITION_EOF:
        ended.add(message.partition())
    elif not message.error().retriable():
        sys.exit(str(message.error()))
consumer.commit(asynchronous=False)
consumer.close()
