package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How gc and scrub tell what they did: one JSON object, for a person and for the operator. */
final class UpkeepOutput {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @Option(
      names = "--termination-log",
      paramLabel = "FILE",
      description = "Also write the report there, as Kubernetes reads it from a pod.")
  private @Nullable Path terminationLog;

  void report(CommandSpec spec, Object report) {
    String json = json(report);
    spec.commandLine().getOut().println(json);
    leave(json);
  }

  /** To be thrown. */
  CommandException failed(CommandSpec spec, int code, @Nullable String message) {
    String text = String.valueOf(message);
    leave(json(Map.of("error", text)));
    return new CommandException(code, spec.name() + ": " + text);
  }

  private static String json(Object value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private void leave(String json) {
    if (terminationLog != null) {
      try {
        Files.writeString(terminationLog, json);
      } catch (IOException e) {
        // The same is on standard output.
      }
    }
  }
}
