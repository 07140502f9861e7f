import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Random;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Writes bodies of Kafka's messages, as Kafka's own classes encode them: lines of name, version and hexadecimal bytes.
 * Fields get values that are not their defaults; those a version refuses go back to their defaults. Arguments: the
 * file to append to, then the names of the messages. The same arguments give the same file.
 */
public final class Corpus {
    static final int VARIANTS = 6;
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message.", "org.apache.kafka.coordinator.group.generated."
    };

    private final Random random;
    private final short version;
    private final boolean nulls;

    Corpus(long seed, short version, boolean nulls) {
        this.random = new Random(seed);
        this.version = version;
        this.nulls = nulls;
    }

    public static void main(String[] arguments) throws Exception {
        try (PrintStream out = new PrintStream(arguments[0], StandardCharsets.UTF_8)) {
            for (String name : Arrays.asList(arguments).subList(1, arguments.length)) {
                write(name, out);
            }
        }
    }

    private static void write(String name, PrintStream out) throws Exception {
        Class<?> type = find(name);
        Message empty = create(type);
        for (short v = empty.lowestSupportedVersion(); v <= empty.highestSupportedVersion(); v++) {
            out.println(line(name, empty, v));
            for (int variant = 0; variant < VARIANTS; variant++) {
                // The first variant has no nulls, so that every field is seen.
                Corpus corpus = new Corpus(31L * (31L * name.hashCode() + v) + variant, v, variant > 0);
                Message message = create(type);
                corpus.fill(message);
                out.println(line(name, message, v));
            }
        }
    }

    private static Class<?> find(String name) throws ClassNotFoundException {
        for (String prefix : PACKAGES) {
            for (String suffix : new String[] {"Data", ""}) {
                try {
                    return Class.forName(prefix + name + suffix);
                } catch (ClassNotFoundException e) {
                    // Try the next place; none at all is reported below.
                }
            }
        }
        throw new ClassNotFoundException("this Kafka has no message " + name);
    }

    private static String line(String name, Message message, short version) {
        ByteBuffer bytes = encode(message, version);
        StringBuilder hex = new StringBuilder();
        while (bytes.hasRemaining()) {
            hex.append(String.format("%02x", bytes.get()));
        }
        return name + " " + recordType(name, message, version) + " " + hex;
    }

    /** Since Kafka 4 a record key's type is its API key and its version always 0; before, the version was the type. */
    private static short recordType(String name, Message message, short version) {
        boolean typed = name.endsWith("Key") && message.highestSupportedVersion() == 0;
        return typed ? ((ApiMessage) message).apiKey() : version;
    }

    private static ByteBuffer encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        buffer.flip();
        return buffer;
    }

    private static Message create(Class<?> type) throws ReflectiveOperationException {
        return (Message) type.getDeclaredConstructor().newInstance();
    }

    void fill(Message message) throws ReflectiveOperationException {
        Field[] fields = message.getClass().getDeclaredFields();
        Arrays.sort(fields, Comparator.comparing(Field::getName));
        for (Field field : fields) {
            boolean bookkeeping = field.getName().equals("_unknownTaggedFields")
                || field.getName().equals("next") || field.getName().equals("prev");
            if (bookkeeping || Modifier.isStatic(field.getModifiers())) {
                continue;
            }
            field.setAccessible(true);
            Object initial = field.get(message);
            Object value = value(field.getType(), field.getGenericType());
            // A Uuid is never null in Kafka's messages; no id is all zeros.
            boolean nullable = !field.getType().isPrimitive() && field.getType() != Uuid.class;
            boolean tryNull = nulls && nullable && random.nextInt(3) == 0;
            if (!(tryNull && accepts(message, field, null)) && !accepts(message, field, value)) {
                field.set(message, initial);
            }
        }
    }

    /** Sets the field and says whether this version can be written so. */
    private boolean accepts(Message message, Field field, Object value) throws ReflectiveOperationException {
        field.set(message, value);
        try {
            encode(message, version);
            return true;
        } catch (UnsupportedVersionException | NullPointerException refused) {
            return false;
        }
    }

    private Object value(Class<?> type, Type generic) throws ReflectiveOperationException {
        if (type == boolean.class || type == Boolean.class) return true;
        if (type == byte.class || type == Byte.class) return (byte) (2 + random.nextInt(120));
        if (type == short.class || type == Short.class) return (short) (2 + random.nextInt(30000));
        if (type == int.class || type == Integer.class) return number();
        if (type == long.class || type == Long.class) return ((long) number() << 32) | (number() & 0xffffffffL);
        if (type == double.class || type == Double.class) return 1 + random.nextDouble();
        if (type == String.class) return text();
        if (type == Uuid.class) return new Uuid(random.nextLong(), 1 + random.nextInt(1000));
        if (type == byte[].class) return bytes();
        if (type == ByteBuffer.class) return ByteBuffer.wrap(bytes());
        if (type.getSimpleName().equals("BaseRecords")) return records();
        if (Message.class.isAssignableFrom(type)) {
            Message part = create(type);
            fill(part);
            return part;
        }
        return collection(type, generic);
    }

    private Object collection(Class<?> type, Type generic) throws ReflectiveOperationException {
        // Either a list, or a keyed collection whose superclass names the elements.
        Type parameterized = generic instanceof ParameterizedType ? generic : type.getGenericSuperclass();
        Class<?> element = (Class<?>) ((ParameterizedType) parameterized).getActualTypeArguments()[0];
        @SuppressWarnings("unchecked")
        Collection<Object> elements = type == List.class
            ? new ArrayList<>() : (Collection<Object>) type.getDeclaredConstructor(int.class).newInstance(8);
        int count = 1 + random.nextInt(3);
        for (int i = 0; i < count; i++) {
            elements.add(value(element, element));
        }
        return elements;
    }

    private int number() {
        return (random.nextBoolean() ? 2 : Integer.MIN_VALUE + 2) + random.nextInt(Integer.MAX_VALUE - 4);
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        for (int length = 1 + random.nextInt(9); length > 0; length--) {
            text.append(new String[] {"a", "Q", "0", "_", "\u00f6", "\u6f22", "\ud83e\udd80"}[random.nextInt(7)]);
        }
        // Now and then past 127 bytes, where a compact length takes two.
        return random.nextInt(8) == 0 ? text.toString().repeat(40) : text.toString();
    }

    private byte[] bytes() {
        byte[] bytes = new byte[1 + (random.nextInt(8) == 0 ? 2000 : random.nextInt(20))];
        random.nextBytes(bytes);
        return bytes;
    }

    /** The class has moved between releases. */
    private Object records() throws ReflectiveOperationException {
        Class<?> type;
        try {
            type = Class.forName("org.apache.kafka.common.record.MemoryRecords");
        } catch (ClassNotFoundException e) {
            type = Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
        }
        return type.getMethod("readableRecords", ByteBuffer.class).invoke(null, ByteBuffer.wrap(bytes()));
    }
}
