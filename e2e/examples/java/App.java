import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.util.Properties;

/** Reads its configuration from seedcar's volume and takes up each change. */
public class App {
    static Properties load(Path dir) throws IOException {
        var config = new Properties();
        try (var text = Files.newBufferedReader(dir.resolve("app.properties"))) {
            config.load(text);
        }
        return config;
    }

    public static void main(String[] args) throws Exception {
        var dir = Path.of(System.getenv().getOrDefault("SEEDCAR_DIR", "/seedcar/live"));
        var watch = dir.getFileSystem().newWatchService();
        // Before the first look, so that no change is between them.
        dir.register(watch, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_MODIFY);
        String shown = null;
        while (true) {
            var greeting = load(dir).getProperty("greeting");
            if (!greeting.equals(shown)) {
                System.out.println("greeting: " + greeting);
                shown = greeting;
            }
            var events = watch.take();
            events.pollEvents();
            events.reset();
        }
    }
}
