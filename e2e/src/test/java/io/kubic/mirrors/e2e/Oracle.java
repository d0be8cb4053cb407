package io.kubic.mirrors.e2e;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The real readers of a node's files: e2e/tools/oracle, running beside the test. */
final class Oracle implements AutoCloseable {
  private static final JsonMapper JSON = new JsonMapper();

  private final Process process;
  private final BufferedWriter in;
  private final BufferedReader out;

  /**
   * What the readers say of one tree.
   *
   * @param libraryError empty when CRI-O and podman read it
   * @param library by image, in the order of the question
   * @param containerdErrors what containerd would log and pass over
   */
  record Answer(
      String libraryError,
      List<Image> library,
      List<String> containerdErrors,
      List<Image> containerd) {}

  /** Whom a reader would ask, in order; nobody when there is an error. */
  record Image(String error, List<String> asks) {}

  Oracle() throws IOException {
    process =
        new ProcessBuilder(Lab.tool("oracle"))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    in = process.outputWriter(StandardCharsets.UTF_8);
    out = process.inputReader(StandardCharsets.UTF_8);
  }

  /**
   * @param etc a directory that stands for a node's {@code /etc}
   */
  Answer ask(Path etc, List<String> images) throws IOException {
    ObjectNode question = JSON.createObjectNode().put("root", etc.toString());
    images.forEach(question.putArray("images")::add);
    in.write(JSON.writeValueAsString(question));
    in.newLine();
    in.flush();
    String line = out.readLine();
    if (line == null) {
      throw new IOException("the oracle ended");
    }
    JsonNode answer = JSON.readTree(line);
    List<String> errors = new ArrayList<>();
    answer.at("/containerd/errors").forEach(error -> errors.add(error.asText()));
    return new Answer(
        answer.at("/library/error").asText(),
        images(answer.at("/library/images")),
        errors,
        images(answer.at("/containerd/images")));
  }

  private static List<Image> images(JsonNode list) {
    List<Image> images = new ArrayList<>();
    for (JsonNode image : list) {
      List<String> asks = new ArrayList<>();
      image.path("asks").forEach(ask -> asks.add(ask.asText()));
      images.add(new Image(image.path("error").asText(), asks));
    }
    return images;
  }

  @Override
  public void close() throws IOException {
    in.close(); // its input's end is its own: it then removes what it laid into /dev/shm
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
