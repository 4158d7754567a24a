import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Properties;

/** Reads a file with Java's own Properties: names and values, in base64, one pair a line. */
class Read {
    public static void main(String[] args) throws Exception {
        Properties bytes = new Properties();
        try (InputStream in = Files.newInputStream(Path.of(args[0]))) {
            bytes.load(in);
        }
        Properties text = new Properties();
        text.load(Files.newBufferedReader(Path.of(args[0]), StandardCharsets.UTF_8));
        if (!bytes.equals(text)) {
            throw new IllegalStateException("it depends on the encoding");
        }
        Base64.Encoder code = Base64.getEncoder();
        StringBuilder out = new StringBuilder();
        for (String name : bytes.stringPropertyNames()) {
            out.append(code.encodeToString(name.getBytes(StandardCharsets.UTF_8))).append(' ');
            String value = bytes.getProperty(name);
            out.append(code.encodeToString(value.getBytes(StandardCharsets.UTF_8))).append('\n');
        }
        System.out.print(out);
    }
}
