package org.apache.iceberg.rest; // some of the reference adapter is visible in its package alone

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.File;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.apache.iceberg.Files;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.io.InputFile;
import org.apache.iceberg.io.OutputFile;
import org.apache.iceberg.io.PositionOutputStream;
import org.apache.iceberg.io.SeekableInputStream;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/**
 * Iceberg's own REST adapter over a JDBC catalog in SQLite, with faults on demand: for tests alone, it asks for no key.
 *
 * <p>Environment: DATABASE (path), WAREHOUSE (file: URI), PORT; TLS_PORT, KEYSTORE (PKCS 12) and KEYSTORE_PASSWORD for
 * a second, encrypted listener. PUT /fault/WHAT arms one fault for the next commit of a table: error-before,
 * error-after (500), halt-before, halt-after (the process is gone as by kill -9), sleep-before-MS, sleep-after-MS. GET
 * /fault/ counts those that have ended by themselves.
 */
public final class CatalogServer {
  private static final AtomicReference<String> FAULT = new AtomicReference<>("");
  private static final AtomicInteger SURVIVED = new AtomicInteger();

  public static void main(String[] arguments) throws Exception {
    Map<String, String> environment = System.getenv();
    Map<String, String> properties = new HashMap<>();
    properties.put("uri", "jdbc:sqlite:" + environment.get("DATABASE"));
    properties.put("warehouse", environment.get("WAREHOUSE"));
    properties.put("io-impl", LocalFiles.class.getName());
    properties.put("jdbc.schema-version", "V1"); // views
    JdbcCatalog catalog = new JdbcCatalog();
    catalog.initialize("rest", properties);
    Server server = new Server();
    listen(server, null, environment.get("PORT"));
    if (environment.containsKey("TLS_PORT")) {
      SslContextFactory.Server tls = new SslContextFactory.Server();
      tls.setKeyStorePath(environment.get("KEYSTORE"));
      tls.setKeyStorePassword(environment.get("KEYSTORE_PASSWORD"));
      listen(server, tls, environment.get("TLS_PORT"));
    }
    ServletContextHandler paths = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    paths.addServlet(new ServletHolder(new Faults()), "/fault/*");
    paths.addServlet(new ServletHolder(new RESTCatalogServlet(new FaultyAdapter(catalog))), "/*");
    server.setHandler(paths);
    server.start();
    server.join();
  }

  private static void listen(Server server, SslContextFactory.Server tls, String port) {
    ServerConnector connector = tls == null ? new ServerConnector(server) : new ServerConnector(server, tls);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(port));
    server.addConnector(connector);
  }

  /** PUT arms a fault, GET tells how many requests with one have ended by themselves. */
  private static final class Faults extends HttpServlet {
    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
      response.getWriter().print(SURVIVED.get());
    }

    @Override
    protected void doPut(HttpServletRequest request, HttpServletResponse response) {
      FAULT.set(request.getPathInfo().substring(1));
    }
  }

  /** The reference adapter; a fault that is armed strikes once, at the commit of a table. */
  private static final class FaultyAdapter extends RESTCatalogAdapter {
    FaultyAdapter(Catalog catalog) {
      super(catalog);
    }

    @Override
    public <T extends RESTResponse> T handleRequest(
        Route route,
        Map<String, String> vars,
        HTTPRequest request,
        Class<T> kind,
        Consumer<Map<String, String>> headers) {
      String fault = route == Route.UPDATE_TABLE ? FAULT.getAndSet("") : "";
      try {
        strike(fault, "before");
        T answer = super.handleRequest(route, vars, request, kind, headers);
        strike(fault, "after");
        return answer;
      } finally {
        SURVIVED.addAndGet(fault.isEmpty() ? 0 : 1);
      }
    }

    private static void strike(String fault, String moment) {
      if (fault.equals("halt-" + moment)) {
        Runtime.getRuntime().halt(137);
      } else if (fault.equals("error-" + moment)) {
        throw new IllegalStateException("a fault that a test asked for");
      } else if (fault.startsWith("sleep-" + moment)) {
        try {
          Thread.sleep(Long.parseLong(fault.substring(fault.lastIndexOf('-') + 1)));
        } catch (InterruptedException broken) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  /** file: locations without Hadoop. */
  public static final class LocalFiles implements FileIO {
    private static File file(String location) {
      return new File(location.replaceFirst("^file:(//)?", ""));
    }

    @Override
    public InputFile newInputFile(String location) {
      return named(Files.localInput(file(location)), location);
    }

    @Override
    public OutputFile newOutputFile(String location) {
      file(location).getParentFile().mkdirs();
      OutputFile output = Files.localOutput(file(location));
      return new OutputFile() {
        @Override
        public PositionOutputStream create() {
          return output.create();
        }

        @Override
        public PositionOutputStream createOrOverwrite() {
          return output.createOrOverwrite();
        }

        @Override
        public String location() {
          return location;
        }

        @Override
        public InputFile toInputFile() {
          return named(output.toInputFile(), location);
        }
      };
    }

    @Override
    public void deleteFile(String location) {
      file(location).delete();
    }

    private static InputFile named(InputFile input, String location) {
      return new InputFile() {
        @Override
        public long getLength() {
          return input.getLength();
        }

        @Override
        public SeekableInputStream newStream() {
          return input.newStream();
        }

        @Override
        public String location() {
          return location;
        }

        @Override
        public boolean exists() {
          return input.exists();
        }
      };
    }
  }
}
