import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.metadata.MetadataRecordType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

/**
 * Writes logs as Kafka's own classes do, for tools that show them: every type and version of the records that Kafka keeps in
 * topics of its own, its control records, message sets of the formats from before 0.11, and numbers. Argument: the folder
 * to write to; each log is a folder there with one segment. It gives the same files every time.
 */
public final class Logs {
    private static final String SEGMENT = "00000000000000000000.log";
    private static final long TIMESTAMP_MS = 1_700_000_000_000L;

    private final Path folder;

    private Logs(Path folder) {
        this.folder = folder;
    }

    public static void main(String[] arguments) throws Exception {
        Logs logs = new Logs(Path.of(arguments[0]));
        for (String coordinator : new String[] {"group", "transaction", "share"}) {
            logs.write(coordinator, MemoryRecords.withRecords(Compression.NONE, coordinatorRecords(coordinator)));
        }
        logs.write("metadata", MemoryRecords.withRecords(Compression.NONE, metadataRecords()));
        logs.writeControls();
        logs.writeOldFormats();
        logs.writeNumbers();
    }

    private static SimpleRecord[] coordinatorRecords(String coordinator) throws Exception {
        List<SimpleRecord> records = new ArrayList<>();
        Class<?> types = Class.forName("org.apache.kafka.coordinator." + coordinator + ".generated.CoordinatorRecordType");
        for (Object type : types.getEnumConstants()) {
            short lowest = (short) types.getMethod("lowestSupportedVersion").invoke(type);
            short highest = (short) types.getMethod("highestSupportedVersion").invoke(type);
            for (short version = lowest; version <= highest; version++) {
                for (int variant = 0; variant < Corpus.VARIANTS; variant++) {
                    ApiMessage key = (ApiMessage) types.getMethod("newRecordKey").invoke(type);
                    ApiMessage value = (ApiMessage) types.getMethod("newRecordValue").invoke(type);
                    fill(key, (short) 0, variant);
                    fill(value, version, variant);
                    records.add(record(
                        MessageUtil.toCoordinatorTypePrefixedBytes(key),
                        MessageUtil.toVersionPrefixedBytes(version, value)
                    ));
                }
            }
            ApiMessage key = (ApiMessage) types.getMethod("newRecordKey").invoke(type);
            records.add(record(MessageUtil.toCoordinatorTypePrefixedBytes(key), null));
            byte[] later = {0, (byte) (highest + 1), 0, 0};
            records.add(record(MessageUtil.toCoordinatorTypePrefixedBytes(key), later));
            records.add(record(MessageUtil.toCoordinatorTypePrefixedBytes(key), new byte[] {1}));
        }
        records.add(record(new byte[] {0, 99, 1, 2}, null));
        records.add(record(new byte[] {7}, null));
        return records.toArray(new SimpleRecord[0]);
    }

    private static SimpleRecord[] metadataRecords() throws Exception {
        List<SimpleRecord> records = new ArrayList<>();
        for (MetadataRecordType type : MetadataRecordType.values()) {
            for (short version = type.lowestSupportedVersion(); version <= type.highestSupportedVersion(); version++) {
                for (int variant = 0; variant < Corpus.VARIANTS; variant++) {
                    ApiMessage message = type.newMetadataRecord();
                    fill(message, version, variant);
                    ApiMessageAndVersion framed = new ApiMessageAndVersion(message, version);
                    ObjectSerializationCache cache = new ObjectSerializationCache();
                    MetadataRecordSerde serde = new MetadataRecordSerde();
                    ByteBuffer buffer = ByteBuffer.allocate(serde.recordSize(framed, cache));
                    serde.write(framed, cache, new ByteBufferAccessor(buffer));
                    records.add(record(null, buffer.array()));
                }
            }
        }
        records.add(record(null, new byte[] {2, 20, 0}));
        records.add(record(null, new byte[] {1, 20, 0, 0, 5}));
        return records.toArray(new SimpleRecord[0]);
    }

    /** The first variant has all its defaults, the second one no nulls. */
    private static void fill(Message message, short version, int variant) throws Exception {
        if (variant > 0) {
            long seed = 31L * (31L * message.getClass().getSimpleName().hashCode() + version) + variant;
            new Corpus(seed, version, variant > 1).fill(message);
        }
    }

    private void writeControls() throws Exception {
        for (int variant = 0; variant < Corpus.VARIANTS; variant++) {
            LeaderChangeMessage leader = new LeaderChangeMessage();
            SnapshotHeaderRecord header = new SnapshotHeaderRecord();
            SnapshotFooterRecord footer = new SnapshotFooterRecord();
            KRaftVersionRecord version = new KRaftVersionRecord();
            VotersRecord voters = new VotersRecord();
            for (Message message : new Message[] {header, footer, version, voters}) {
                fill(message, (short) 0, variant);
            }
            fill(leader, (short) 0, variant);
            leader.setVersion((short) 0);
            header.setVersion((short) 0);
            footer.setVersion((short) 0);
            version.setVersion((short) 0);
            voters.setVersion((short) 0);
            long offset = 5L * variant;
            write("controls", MemoryRecords.withLeaderChangeMessage(offset, TIMESTAMP_MS, 3, buffer(), leader));
            write("controls", MemoryRecords.withSnapshotHeaderRecord(offset + 1, TIMESTAMP_MS, 3, buffer(), header));
            write("controls", MemoryRecords.withSnapshotFooterRecord(offset + 2, TIMESTAMP_MS, 3, buffer(), footer));
            write("controls", MemoryRecords.withKRaftVersionRecord(offset + 3, TIMESTAMP_MS, 3, buffer(), version));
            write("controls", MemoryRecords.withVotersRecord(offset + 4, TIMESTAMP_MS, 3, buffer(), voters));
        }
    }

    private void writeOldFormats() throws Exception {
        long offset = 0;
        Compression[] codecs = {
            Compression.NONE, Compression.gzip().build(), Compression.snappy().build(), Compression.lz4().build()
        };
        for (byte magic = 0; magic <= 2; magic++) {
            for (TimestampType type : new TimestampType[] {TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME}) {
                for (Compression codec : codecs) {
                    SimpleRecord[] records = {
                        new SimpleRecord(TIMESTAMP_MS + 7, text("key"), text("value of " + magic)),
                        new SimpleRecord(TIMESTAMP_MS, null, text("without a key")),
                        new SimpleRecord(TIMESTAMP_MS + 3, text("without a value"), null),
                    };
                    write("old-formats", MemoryRecords.withRecords(magic, offset, codec, type, records));
                    offset += records.length;
                }
            }
        }
        byte[] damaged = Files.readAllBytes(folder.resolve("old-formats").resolve(SEGMENT));
        // In the first value.
        damaged[35] ^= 1;
        write("old-formats-damaged", MemoryRecords.readableRecords(ByteBuffer.wrap(damaged)));
    }

    private void writeNumbers() throws Exception {
        List<SimpleRecord> records = new ArrayList<>();
        for (long number : new long[] {0, 1, -1, Integer.MAX_VALUE, Long.MIN_VALUE}) {
            byte[] key = ByteBuffer.allocate(4).putInt((int) number).array();
            records.add(record(key, ByteBuffer.allocate(8).putLong(number).array()));
        }
        write("numbers", MemoryRecords.withRecords(Compression.NONE, records.toArray(new SimpleRecord[0])));
    }

    private static SimpleRecord record(byte[] key, byte[] value) {
        return new SimpleRecord(TIMESTAMP_MS, key, value);
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static ByteBuffer buffer() {
        return ByteBuffer.allocate(1 << 16);
    }

    private void write(String log, MemoryRecords records) throws Exception {
        Path segment = Files.createDirectories(folder.resolve(log)).resolve(SEGMENT);
        ByteBuffer bytes = records.buffer().duplicate();
        byte[] copied = new byte[bytes.remaining()];
        bytes.get(copied);
        Files.write(segment, copied, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
}
