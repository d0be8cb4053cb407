package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/**
 * The OCI distribution-spec's own suite, against the bare registry and through the gateway in the
 * same run: whatever fails must be the registry's own, and known.
 */
class ConformanceIT {
  /** What distribution 3.1.2 itself misses; a newer one should shorten this list. */
  private static final List<String> KNOWN =
      List.of(
          // No referrers API, no OCI-Subject header.
          "artifacts-with-subject/",
          "index-with-subject/",
          "missing-subject/",
          "empty/referrers",
          // Content is stored and answered by sha256 only.
          "sha512 blobs/",
          "sha512/");

  @Test
  void whatTheRegistryPassesPassesThroughTheGateway(@TempDir Path directory) throws Exception {
    try (GatewayLab lab = new GatewayLab(directory)) {
      Map<String, String> bare =
          suite(
              directory.resolve("bare"),
              Map.of("OCI_REGISTRY", "127.0.0.1:" + lab.backend, "OCI_TLS", "disabled"));
      Map<String, String> through =
          suite(
              directory.resolve("gateway"),
              Map.of(
                  "OCI_REGISTRY",
                  lab.host(),
                  "OCI_TLS",
                  "enabled",
                  "OCI_USERNAME",
                  "admin",
                  "OCI_PASSWORD",
                  "admin-secret",
                  "SSL_CERT_FILE",
                  directory.resolve("ca.crt").toString()));

      assertThat(bare).as("the suite ran").hasSizeGreaterThan(50);
      assertThat(through.keySet()).isEqualTo(bare.keySet());
      Set<String> own = misses(bare);
      Set<String> gateways = misses(through);
      System.out.printf(
          "conformance: %d tests, %d skipped, %d missed by the registry, %d through the gateway%n",
          bare.size(),
          bare.values().stream().filter("skipped"::equals).count(),
          own.size(),
          gateways.size());
      gateways.stream()
          .filter(name -> KNOWN.stream().noneMatch(name::startsWith))
          .forEach(name -> System.out.println("  missed: " + name));
      through.forEach(
          (name, status) -> {
            if (!status.equals(bare.get(name)) && !status.equals("passed")) {
              assertThat(name + ": " + status).isEqualTo(name + ": " + bare.get(name));
            }
          });
      assertThat(gateways).allMatch(name -> KNOWN.stream().anyMatch(name::startsWith));
    }
  }

  private static Set<String> misses(Map<String, String> results) {
    Set<String> names = new TreeSet<>();
    results.forEach(
        (name, status) -> {
          if (!status.equals("passed") && !status.equals("skipped") && !status.equals("disabled")) {
            names.add(name);
          }
        });
    return names;
  }

  /** Test names with their status. */
  private static Map<String, String> suite(Path directory, Map<String, String> environment)
      throws Exception {
    Files.createDirectories(directory);
    ProcessBuilder builder =
        new ProcessBuilder(GatewayLab.tool("conformance").toString())
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("log").toFile());
    builder.environment().putAll(environment);
    builder.environment().put("OCI_RESULTS_DIR", directory.resolve("results").toString());
    int code = builder.start().waitFor();
    Path report = directory.resolve("results/junit.xml");
    assertThat(report).as("exit %d: %s", code, Files.readString(directory.resolve("log"))).exists();
    NodeList cases =
        DocumentBuilderFactory.newDefaultInstance()
            .newDocumentBuilder()
            .parse(report.toFile())
            .getElementsByTagName("testcase");
    Map<String, String> results = new TreeMap<>();
    for (int i = 0; i < cases.getLength(); i++) {
      Element test = (Element) cases.item(i);
      String path = test.getAttribute("classname") + "/" + test.getAttribute("name");
      String name = path.replace("/OCI Conformance Test/", "");
      results.merge(name, test.getAttribute("status"), (a, b) -> a.equals("passed") ? b : a);
    }
    return results;
  }
}
