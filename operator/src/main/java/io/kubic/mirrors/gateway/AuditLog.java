package io.kubic.mirrors.gateway;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.time.Clock;
import org.jspecify.annotations.Nullable;

/** One line of JSON for each decision; no password, no token, no query. */
final class AuditLog {
  private static final JsonFactory JSON = new JsonFactory();
  private final PrintStream out;
  private final Clock clock;

  AuditLog(PrintStream out, Clock clock) {
    this.out = out;
    this.clock = clock;
  }

  /**
   * @param account empty for everybody
   * @param what kind of request, as in {@code MANIFEST_READ} or {@code TOKEN}
   * @param resource repository or scopes
   * @param decision {@code allowed}, or why not
   */
  void decided(
      String account,
      String address,
      String what,
      @Nullable String resource,
      String decision,
      int status) {
    StringWriter text = new StringWriter(200);
    try (JsonGenerator line = JSON.createGenerator(text)) {
      line.writeStartObject();
      line.writeStringField("event", "Decision");
      line.writeStringField("time", clock.instant().toString());
      line.writeStringField("account", account);
      line.writeStringField("address", address);
      line.writeStringField("request", what);
      if (resource != null && !resource.isEmpty()) {
        line.writeStringField("resource", resource);
      }
      line.writeStringField("decision", decision);
      line.writeNumberField("status", status);
      line.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    out.println(text);
  }
}
