package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * What the real API server makes of our schemas. A file invalid-*.yaml names parts of the expected
 * message in its first lines ({@code # expect: ...}); with a second document, the first is created
 * and the second must be accepted, or refused, as its update.
 */
@ExtendWith(ApiServer.class)
class CrdIT {
  private static final Path CASES = Lab.TREE.resolve("e2e/src/test/resources/crd");

  @BeforeAll
  static void install(ApiServer server) {
    server.installKinds();
    if (!server
        .kubectl("get", "namespaces", "-o", "name")
        .orFail()
        .out()
        .contains("mirror-system")) {
      server.kubectl("create", "namespace", "mirror-system").orFail();
    }
  }

  @Test
  void theSchemasNeedNoWarning(ApiServer server) {
    assertThat(
            server
                .kubectl("apply", "--server-side", "--force-conflicts", "-f", "crds")
                .orFail()
                .err())
        .doesNotContain("Warning");
    assertThat(
            server
                .kubectl(
                    "get",
                    "crd",
                    "-o",
                    "jsonpath={.items[*].status.conditions[?(@.type=='NonStructuralSchema')].message}")
                .line())
        .isEmpty();
  }

  @Test
  void theCategoryListsAllThreeKinds(ApiServer server) {
    assertThat(
            server
                .kubectl("api-resources", "--categories=mirrors", "-o", "name")
                .orFail()
                .out()
                .lines())
        .containsExactlyInAnyOrder(
            "mirrorlists.mirrors.kubic.io",
            "mirrorregistries.mirrors.kubic.io",
            "noderegistryconfigs.mirrors.kubic.io");
  }

  @TestFactory
  List<DynamicTest> samplesApply(ApiServer server) throws IOException {
    return Stream.concat(
            files(Lab.TREE.resolve("config/samples"), "0"),
            files(Lab.TREE.resolve("config/samples/bundle"), ""))
        .map(file -> accepted(server, file))
        .toList();
  }

  @TestFactory
  List<DynamicTest> validResourcesAreAccepted(ApiServer server) throws IOException {
    return files(CASES, "valid-").map(file -> accepted(server, file)).toList();
  }

  @TestFactory
  List<DynamicTest> invalidResourcesAreRefusedWithTheFieldNamed(ApiServer server)
      throws IOException {
    return files(CASES, "invalid-").map(file -> refused(server, file)).toList();
  }

  private static DynamicTest accepted(ApiServer server, Path file) {
    return DynamicTest.dynamicTest(
        file.getFileName().toString(), () -> answer(server, Files.readString(file)).orFail());
  }

  private static DynamicTest refused(ApiServer server, Path file) {
    return DynamicTest.dynamicTest(
        file.getFileName().toString(),
        () -> {
          String text = Files.readString(file);
          List<String> expected =
              text.lines()
                  .filter(line -> line.startsWith("# expect: "))
                  .map(line -> line.substring("# expect: ".length()))
                  .toList();
          assertThat(expected).as("lines '# expect:'").isNotEmpty();
          Lab.Result result = answer(server, text);
          assertThat(result.code()).as(result.out()).isNotZero();
          assertThat(result.err()).contains(expected);
        });
  }

  /** What a dry run of the last document gives, once the one before it exists. */
  private static Lab.Result answer(ApiServer server, String text) throws IOException {
    String[] documents = text.split("\n---\n");
    Path last = Files.createTempFile("case", ".yaml");
    Path first = Files.createTempFile("case", ".yaml");
    try {
      Files.writeString(last, documents[documents.length - 1]);
      if (documents.length == 1) {
        return server.kubectl(
            "create", "--dry-run=server", "-n", "mirror-system", "-f", last.toString());
      }
      Files.writeString(first, documents[0]);
      server
          .kubectl("create", "--save-config", "-n", "mirror-system", "-f", first.toString())
          .orFail();
      try {
        return server.kubectl(
            "apply", "--dry-run=server", "-n", "mirror-system", "-f", last.toString());
      } finally {
        server.kubectl("delete", "-n", "mirror-system", "-f", first.toString()).orFail();
      }
    } finally {
      Files.delete(first);
      Files.delete(last);
    }
  }

  private static Stream<Path> files(Path directory, String prefix) throws IOException {
    try (Stream<Path> all = Files.list(directory)) {
      List<Path> found =
          all.filter(f -> f.getFileName().toString().startsWith(prefix)).sorted().toList();
      assertThat(found).as(directory + "/" + prefix + "*").isNotEmpty();
      return found.stream();
    }
  }
}
