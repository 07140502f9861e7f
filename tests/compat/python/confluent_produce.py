"""Produces numbered records with confluent-kafka (librdkafka) and prints each ack as `ack <partition> <value>`.

usage: confluent_produce.py BOOTSTRAP TOPIC COUNT
Creates the topic first, with 3 partitions and replication factor 3. Settings are librdkafka's defaults but for
idempotence; records go out at a steady pace so that a node can be lost in mid-stream.
"""

import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

admin = AdminClient({"bootstrap.servers": bootstrap})
for future in admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=3)]).values():
    future.result(30)

failed = []


def delivered(error, message):
    if error is not None:
        failed.append(error)
    else:
        print("ack", message.partition(), message.value().decode(), flush=True)


producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
for number in range(count):
    producer.produce(topic, value=str(number), key=str(number), on_delivery=delivered)
    producer.poll(0.001)
producer.flush(120)
if failed:
    sys.exit(f"{len(failed)} records failed, the first with {failed[0]}")
