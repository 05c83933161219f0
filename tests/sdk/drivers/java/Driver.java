// A driver (drivers/README.md) around io.socket:socket.io-client, any version.

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Manager;
import io.socket.client.Socket;
import io.socket.emitter.Emitter;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import okhttp3.OkHttpClient;
import org.json.JSONArray;
import org.json.JSONObject;

public final class Driver {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private static final Map<String, Socket> SOCKETS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        tell("on", "ready", "version", version());
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String line;
        while ((line = in.readLine()) != null) {
            obey(new JSONObject(line));
        }
        // Connections may still be open, or trying to be.
        System.exit(0);
    }

    private static void obey(JSONObject command) throws Exception {
        String id = command.getString("id");
        switch (command.getString("do")) {
            case "connect" -> SOCKETS.put(id, connect(id, command));
            case "emit" -> emit(id, command);
            case "disconnect" -> SOCKETS.remove(id).disconnect();
            default -> throw new IllegalArgumentException(command.toString());
        }
    }

    private static Socket connect(String id, JSONObject command) throws Exception {
        // One client's OkHttp has at most five requests to a host under way, and a
        // polling connection always has one: each gets its own, as apps have one
        // connection. The timeout is the SDK's own.
        var http = new OkHttpClient.Builder().readTimeout(1, TimeUnit.MINUTES).build();
        var options = new IO.Options();
        options.callFactory = http;
        options.webSocketFactory = http;
        options.forceNew = true;
        options.reconnectionDelay = 20;
        options.reconnectionDelayMax = 200;
        if (command.has("transports")) {
            options.transports = strings(command.getJSONArray("transports"));
        }
        String query = command.has("query") ? "?" + command.getString("query") : "";
        String address = command.getString("url") + command.getString("namespace") + query;

        Socket socket = IO.socket(address, options);
        socket.on("connect", args -> connected(id, socket));
        socket.on("disconnect", args -> tell("id", id, "on", "disconnect", "reason", args[0]));
        for (String name : new String[] {"connect_error", "error"}) {
            socket.on(name, args -> tell("id", id, "on", name, "message", args[0].toString()));
        }
        for (String name : strings(command.getJSONArray("events"))) {
            socket.on(name, args -> tell("id", id, "on", "event", "name", name, "args", array(args)));
        }
        return socket.connect();
    }

    private static void connected(String id, Socket socket) {
        // The SDK keeps to itself by what it is connected.
        var engine = (Emitter) read(Manager.class, socket.io(), "engine");
        engine.on("upgrade", args -> tell("id", id, "on", "upgrade", "transport", name(args[0])));
        Object transport = read(io.socket.engineio.client.Socket.class, engine, "transport");
        tell("id", id, "on", "connect", "sid", socket.id(), "transport", name(transport));
    }

    private static void emit(String id, JSONObject command) throws Exception {
        JSONArray given = command.getJSONArray("args");
        var args = new Object[given.length()];
        for (int n = 0; n < args.length; n++) {
            args[n] = given.get(n);
        }
        Socket socket = SOCKETS.get(id);
        String event = command.getString("event");
        if (!command.has("ack")) {
            socket.emit(event, args);
            return;
        }
        int number = command.getInt("ack");
        Ack ack = said -> tell("id", id, "on", "ack", "ack", number, "args", array(said));
        socket.emit(event, args, ack);
    }

    // A report of pairs: a key, and what it has.
    private static void tell(Object... pairs) {
        var report = new HashMap<String, Object>();
        for (int n = 0; n < pairs.length; n += 2) {
            report.put((String) pairs[n], pairs[n + 1]);
        }
        String line = new JSONObject(report).toString();
        synchronized (OUT) {
            OUT.println(line);
        }
    }

    private static JSONArray array(Object[] args) {
        var array = new JSONArray();
        for (Object arg : args) {
            array.put(arg);
        }
        return array;
    }

    private static String[] strings(JSONArray array) throws Exception {
        var strings = new String[array.length()];
        for (int n = 0; n < strings.length; n++) {
            strings[n] = array.getString(n);
        }
        return strings;
    }

    private static String name(Object transport) {
        return (String) read(io.socket.engineio.client.Transport.class, transport, "name");
    }

    private static Object read(Class<?> of, Object object, String field) {
        try {
            Field found = of.getDeclaredField(field);
            found.setAccessible(true);
            return found.get(object);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String version() throws Exception {
        String file = "/META-INF/maven/io.socket/socket.io-client/pom.properties";
        try (InputStream in = Socket.class.getResourceAsStream(file)) {
            var properties = new Properties();
            properties.load(in);
            return properties.getProperty("version");
        }
    }
}
