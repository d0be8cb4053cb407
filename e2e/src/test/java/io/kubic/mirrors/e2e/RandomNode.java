package io.kubic.mirrors.e2e;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * Configurations as people and tools write them: mostly right, in all the ways in which TOML can be
 * written, and sometimes wrong in one place.
 */
final class RandomNode {
  private static final String CA =
      """
      -----BEGIN CERTIFICATE-----
      MIIBejCCASGgAwIBAgIUKQ0yZQ5pWcYQ1eYbH1o2mZJ2m9owCgYIKoZIzj0EAwIw
      -----END CERTIFICATE-----
      """;

  private final Random random;
  private final SortedMap<String, String> files = new TreeMap<>();
  private final List<String> images = new ArrayList<>();

  RandomNode(long seed, String authority) {
    random = new Random(seed);
    if (chance(80)) {
      if (chance(80)) {
        files.put("containers/registries.conf", mutated(registries(true)));
      }
      for (int i = random.nextInt(3); i > 0; i--) {
        files.put(
            "containers/registries.conf.d/"
                + any("10-a.conf", "50-mirror-operator.conf", "99-z.conf", ".hidden.conf", "x.bak"),
            mutated(registries(false)));
      }
    }
    if (chance(80)) {
      for (int i = 1 + random.nextInt(3); i > 0; i--) {
        String directory =
            "containerd/certs.d/"
                + any("a.example", "b.example:5000", "b.example_5000_", "docker.io", "_default")
                + "/";
        if (chance(95)) {
          files.put(directory + "hosts.toml", mutated(hosts()));
        }
        if (chance(60)) {
          files.put(directory + "ca.crt", chance(95) ? authority : chance(50) ? CA : "");
        }
        if (chance(5)) {
          files.put(directory + any("client.cert", "client.key", "x.txt"), "nothing");
        }
      }
    }
    for (int i = 0; i < 4; i++) {
      images.add(image());
    }
  }

  SortedMap<String, String> files() {
    return files;
  }

  List<String> images() {
    return images;
  }

  void write(Path etc) throws IOException {
    Files.createDirectories(etc.resolve("containers/registries.conf.d"));
    Files.createDirectories(etc.resolve("containerd/certs.d"));
    for (var file : files.entrySet()) {
      Path path = etc.resolve(file.getKey());
      Files.createDirectories(path.getParent());
      Files.writeString(path, file.getValue(), StandardCharsets.UTF_8);
    }
  }

  private String image() {
    String name =
        host() + "/" + any("app", "team/app", "library/app", "team/sub/app_1.x", "a--b/c__d");
    return name
        + (chance(20)
            ? ""
            : chance(60)
                ? ":" + any("latest", "1.0", "V_2")
                : "@sha256:" + "0123456789abcdef".repeat(4));
  }

  private String host() {
    return any(
        "a.example",
        "a.example",
        "b.example:5000",
        "b.example",
        "docker.io",
        "x.a.example",
        "y.x.a.example:5000",
        "localhost:5000",
        "localhost",
        "127.0.0.1:5000",
        "quay.io",
        "10.0.0.1:443",
        "[fd00::1]:5000");
  }

  private String prefix() {
    return chance(90)
        ? any(
            host(),
            host(),
            host() + "/team",
            host() + "/team/app",
            host() + "/library",
            "*.example",
            "*.a.example",
            "*.io")
        : any(
            "",
            "/",
            "https://a.example",
            "http://a.example/team",
            "a.example/",
            "a.example//",
            "a.example/team/",
            "*.a.example/team",
            "*.a.example:5000",
            "*.",
            "*",
            "a.example/app:1.0",
            "a.example/App",
            "UPPER.example",
            "a.exam",
            "a.example/te",
            "a_b.example",
            "a.example:",
            "index.docker.io",
            "docker.io/app",
            " a.example",
            "ä.example");
  }

  private String location() {
    return chance(85)
        ? any(
            "mirror.example",
            "mirror.example:5000",
            "mirror.example:5000/a.example",
            "10.0.0.2:5000/docker.io",
            "mirror.example/deep/path",
            "[fd00::2]:5000/x",
            host())
        : prefix();
  }

  private String registries(boolean main) {
    StringBuilder text = new StringBuilder();
    if (chance(30)) {
      text.append(comment());
    }
    if (chance(25)) {
      key(text, "unqualified-search-registries");
      text.append(list(chance(85) ? this::host : this::prefix)).append(end());
    }
    if (chance(15)) {
      key(text, "short-name-mode");
      text.append(
              string(
                  chance(85)
                      ? any("enforcing", "permissive", "disabled")
                      : any("", "Enforcing", "off")))
          .append(end());
    }
    if (chance(5)) {
      key(text, any("credential-helpers", "additional-layer-store-auth-helper", "unknown-key"));
      text.append(value()).append(end());
    }
    if (chance(2)) {
      text.append(
          any(
              "[registries.search]\nregistries = ['a.example']\n",
              "[registries]\n",
              "[registries.block]\nregistries = []\n",
              "registries = []\n"));
    }
    for (int i = random.nextInt(4); i > 0; i--) {
      registry(text);
    }
    if (chance(15)) {
      text.append("[").append(space()).append("aliases").append(space()).append("]").append(end());
      for (int i = random.nextInt(3); i > 0; i--) {
        text.append(
                string(
                    chance(85)
                        ? any("app", "team/app", "fedora")
                        : any("", "a.example/app", "App", "localhost/x", "app:1", "a b")))
            .append(" = ")
            .append(
                string(
                    chance(85)
                        ? any("a.example/app", "docker.io/library/app", "", "quay.io/team/app")
                        : any("app", "a.example", "a.example/app:1.0", "team/app", "localhost/a")))
            .append(end());
      }
    }
    if (main && chance(2)) {
      return "";
    }
    return text.toString();
  }

  private void registry(StringBuilder text) {
    text.append(
        chance(92)
            ? "[[" + space() + "registry" + space() + "]]"
            : any(
                "[['registry']]",
                "[[\"registry\"]]",
                "[registry]",
                "[[Registry]]",
                "[[registri]]"));
    text.append(end());
    boolean prefix = chance(70);
    if (prefix) {
      key(text, "prefix");
      text.append(typed(string(prefix()))).append(end());
    }
    if (!prefix || chance(85)) {
      key(text, "location");
      text.append(typed(string(chance(60) ? prefix() : location()))).append(end());
    }
    if (chance(15)) {
      key(text, "blocked");
      text.append(typed(bool())).append(end());
    }
    if (chance(10)) {
      key(text, "insecure");
      text.append(typed(bool())).append(end());
    }
    if (chance(8)) {
      key(text, "mirror-by-digest-only");
      text.append(typed(bool())).append(end());
    }
    if (chance(3)) {
      key(text, any("pull-from-mirror", "namespace-proxy", "blokced", "mirrors"));
      text.append(any("'all'", "''", "true", "'x'")).append(end());
    }
    if (chance(8)) {
      text.append("mirror = [");
      for (int i = random.nextInt(3); i > 0; i--) {
        text.append("{").append(space()).append("location = ").append(string(location()));
        if (chance(30)) {
          text.append(", insecure = ").append(bool());
        }
        text.append("}").append(i > 1 || chance(10) ? ", " : "");
      }
      text.append("]").append(end());
      return;
    }
    for (int i = random.nextInt(4); i > 0; i--) {
      text.append(
          chance(95)
              ? "  [[registry" + space() + "." + space() + "mirror]]"
              : any("[[registry.\"mirror\"]]", "[registry.mirror]", "[[registry.Mirror]]"));
      text.append(end());
      if (chance(97)) {
        key(text, "location");
        text.append(typed(string(location()))).append(end());
      }
      if (chance(20)) {
        key(text, "insecure");
        text.append(typed(bool())).append(end());
      }
      if (chance(20)) {
        key(text, "pull-from-mirror");
        text.append(
                string(
                    chance(90)
                        ? any("all", "digest-only", "tag-only")
                        : any("", "All", "none", "digest_only")))
            .append(end());
      }
    }
  }

  private String hosts() {
    StringBuilder text = new StringBuilder();
    if (chance(30)) {
      text.append(comment());
    }
    if (chance(50)) {
      key(text, "server");
      text.append(typed(string(url()))).append(end());
    }
    if (chance(25)) {
      settings(text, "");
    }
    List<String> tables = new ArrayList<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      String url = chance(3) && !tables.isEmpty() ? tables.getFirst() : url();
      tables.add(url);
      String name = chance(95) ? string(url) : any("bare-host", "a.b", "''", "\"\"");
      int form = random.nextInt(30);
      if (form == 0) {
        text.append("host.").append(string(url)).append(".capabilities = [\"pull\"]").append(end());
      } else if (form == 1) {
        text.append("[host]").append(end()).append(string(url)).append(" = {}").append(end());
      } else {
        text.append("[")
            .append(space())
            .append(chance(97) ? "host" : any("\"host\"", "Host", "hosts"))
            .append(space())
            .append(".")
            .append(space())
            .append(name)
            .append(space())
            .append("]")
            .append(end());
        settings(text, "");
        if (chance(15)) {
          text.append("  [host.").append(name).append(".header]").append(end());
          if (chance(80)) {
            key(text, any("x-custom", "Authorization", "\"x y\""));
            text.append(any("\"v\"", "[\"a\", \"b\"]", "[]", "1", "[1]", "{a = 1}")).append(end());
          }
        }
        if (chance(3) && tables.size() > 1) {
          text.append("[host.").append(string(tables.getFirst())).append(".header]").append(end());
        }
      }
    }
    return chance(2) ? "" : text.toString();
  }

  private void settings(StringBuilder text, String indent) {
    text.append(indent);
    if (chance(60)) {
      key(text, "capabilities");
      text.append(
              list(
                  chance(95)
                      ? () -> any("pull", "resolve", "push", "pull", "resolve", "PULL")
                      : () -> any("referrers", "pul", "")))
          .append(end());
    }
    if (chance(25)) {
      key(text, "ca");
      text.append(
              chance(85)
                  ? string("ca.crt")
                  : any(
                      "[\"ca.crt\"]",
                      "[]",
                      "\"missing.crt\"",
                      "\"../a.example/ca.crt\"",
                      "[[\"ca.crt\"]]",
                      "1",
                      "\"\""))
          .append(end());
    }
    if (chance(4)) {
      key(text, "client");
      text.append(
              any("\"client.cert\"", "[[\"client.cert\", \"client.key\"]]", "[]", "1", "[[\"a\"]]"))
          .append(end());
    }
    if (chance(15)) {
      key(text, "skip_verify");
      text.append(typed(bool())).append(end());
    }
    if (chance(35)) {
      key(text, "override_path");
      text.append(typed(bool())).append(end());
    }
    if (chance(20)) {
      key(text, "dial_timeout");
      text.append(
              string(
                  chance(85)
                      ? any("2s", "500ms", "1m30s", "1.5s")
                      : any("", "0", "2", "-2s", "+2s", "2 s", "1d", "2µs", ".5s", "1h0m0s")))
          .append(end());
    }
    if (chance(4)) {
      key(text, any("unknown", "timeout"));
      text.append(value()).append(end());
    }
  }

  private String url() {
    return chance(88)
        ? any(
            "https://mirror.example",
            "https://mirror.example:5000",
            "https://mirror.example:5000/v2/a.example",
            "http://mirror.example:5000",
            "https://10.0.0.2:5000/v2/docker.io",
            "https://a.example",
            "https://[fd00::2]:5000/v2/x",
            "http://localhost:5000",
            "mirror.example:5000",
            "https://mirror.example/v2")
        : any(
            "",
            "https://mirror.example/",
            "https://mirror.example/v2/",
            "https://mirror.example/a//b",
            "https://mirror.example/../x",
            "https://mirror.example?x=1",
            "https://user:pw@mirror.example",
            "https://mirror.example/a b",
            "https://mirror.example:port",
            "httpmirror.example",
            "ftp://mirror.example",
            "https:/mirror.example",
            "https://",
            "http:",
            "https://mirror.example/%41",
            "HTTPS://mirror.example",
            "https://Mirror.Example/V2",
            "https://mirror_1.example/v2#f");
  }

  private void key(StringBuilder text, String name) {
    text.append(chance(90) ? "" : any("  ", "\t"));
    if (chance(94)) {
      text.append(name);
    } else {
      text.append(
          any(
              "\"" + name + "\"",
              "'" + name + "'",
              name.toUpperCase(java.util.Locale.ROOT),
              name.substring(0, 1).toUpperCase(java.util.Locale.ROOT) + name.substring(1)));
    }
    text.append(any(" = ", " = ", "=", "  =\t"));
  }

  /** Mostly the value; sometimes another one, of whatever type. */
  private String typed(String text) {
    return chance(98) ? text : value();
  }

  private String value() {
    return any(
        "1",
        "-0x1f",
        "1_000",
        "1.5e3",
        "inf",
        "true",
        "\"text\"",
        "''",
        "[]",
        "{}",
        "[1, 'a']",
        "2024-01-01T00:00:00Z",
        "07:32:00",
        "{a = 1, b.c = 2}",
        "\"\"\"\nlong\\\n  text\"\"\"");
  }

  private String bool() {
    return chance(98) ? any("true", "false", "true") : any("True", "1", "\"true\"", "yes");
  }

  private String list(Supplier<String> element) {
    StringBuilder text = new StringBuilder("[");
    int size = random.nextInt(4);
    for (int i = 0; i < size; i++) {
      text.append(chance(90) ? "" : any("\n  ", " # why\n "))
          .append(typed(string(element.get())))
          .append(i + 1 < size || chance(10) ? ", " : "");
    }
    return text.append(chance(90) ? "]" : "\n]").toString();
  }

  private String string(String text) {
    return switch (random.nextInt(24)) {
      case 0 -> "'" + text + "'";
      case 1 -> "\"\"\"" + text + "\"\"\"";
      case 2 -> "'''" + text + "'''";
      case 3 -> "\"\"\"\n" + text + "\"\"\"";
      case 4 ->
          text.isEmpty()
              ? "\"\""
              : "\"\\u"
                  + String.format(java.util.Locale.ROOT, "%04x", (int) text.charAt(0))
                  + text.substring(1)
                  + "\"";
      default -> "\"" + text + "\"";
    };
  }

  private String end() {
    return (chance(95) ? "" : any(" # comment", "\t#", " #ä"))
        + (chance(97) ? "\n" : any("\r\n", "\n\n", "\n  \n"));
  }

  private String comment() {
    return any("# This file\n", "#\n", "\n", "\t\n", "# [host.\"https://no.example\"]\n");
  }

  private String space() {
    return chance(95) ? "" : any(" ", "  ", "\t");
  }

  /** Now and then one thing that a slip of the hand does. */
  private String mutated(String text) {
    if (!chance(20) || text.isEmpty()) {
      return text;
    }
    int at = random.nextInt(text.length());
    List<String> lines = new ArrayList<>(List.of(text.split("\n", -1)));
    int line = random.nextInt(lines.size());
    switch (random.nextInt(6)) {
      case 0 -> {
        return text.substring(0, at) + text.substring(at + 1);
      }
      case 1 -> {
        return text.substring(0, at)
            + any(
                "\"", "'", "[", "]", "{", "}", "=", ".", ",", "#", "\n", "\t", "\r", "\\", "\0",
                "é", "\u007f", "\ufeff", " ", "x", "0", "]]", "[[", "\"\"\"")
            + text.substring(at);
      }
      case 2 -> lines.add(line, lines.get(line));
      case 3 -> lines.remove(line);
      case 4 -> lines.add(random.nextInt(lines.size()), lines.remove(line));
      default -> {
        return text.substring(0, at);
      }
    }
    return String.join("\n", lines);
  }

  private boolean chance(int percent) {
    return random.nextInt(100) < percent;
  }

  private String any(String... texts) {
    return texts[random.nextInt(texts.length)];
  }
}
