package io.kubic.mirrors.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reference;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code manifest}: a manifest, indented for reading, or as the bytes it is. */
@Command(
    name = "manifest",
    mixinStandardHelpOptions = true,
    description = "Print the manifest or index of an image.")
final class ManifestCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(
      paramLabel = "IMAGE",
      description = "host[:port]/repository[:tag][@digest], default latest")
  private String image;

  @Option(names = "--raw", description = "The very bytes, whose digest is the image's.")
  private boolean raw;

  @Override
  public Integer call() throws IOException {
    Reference reference = ImageArgument.parse(image);
    try (ConnectionOptions open = connections) {
      Manifest manifest =
          open.registry(reference.repository().registry())
              .manifest(reference.repository().path(), ImageArgument.identifier(reference));
      PrintWriter out = spec.commandLine().getOut();
      if (raw) {
        // A manifest is JSON, and JSON is UTF-8; the print writer's own charset may be another.
        out.print(new String(manifest.bytes(), StandardCharsets.UTF_8));
      } else {
        ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
        out.println(mapper.writeValueAsString(mapper.readTree(manifest.bytes())));
      }
      out.flush();
      return ExitCode.OK;
    }
  }
}
