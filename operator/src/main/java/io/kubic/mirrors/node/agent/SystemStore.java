package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.IOException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The certificates that all programs of a host trust: one file for each CA where the distribution
 * wants additions, its own program to make them count, and a look into what that generated. Never
 * guessed: the distribution names itself in os-release(5), and has the directory.
 */
enum SystemStore {
  /** update-ca-certificates(8) of openSUSE/ca-certificates. */
  SUSE(
      Set.of("suse", "opensuse", "sles", "sled"),
      "/etc/pki/trust/anchors",
      "/var/lib/ca-certificates/ca-bundle.pem",
      List.of("update-ca-certificates"),
      List.of("update-ca-certificates")),
  /** update-ca-trust(8) of RHEL, Fedora, Amazon Linux and Azure Linux. */
  RHEL(
      Set.of("rhel", "fedora", "centos", "amzn", "azurelinux", "mariner"),
      "/etc/pki/ca-trust/source/anchors",
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
      List.of("update-ca-trust", "extract"),
      List.of("update-ca-trust", "extract")),
  /** update-ca-certificates(8) of Debian; only --fresh takes away the links of what is gone. */
  DEBIAN(
      Set.of("debian", "ubuntu"),
      "/usr/local/share/ca-certificates",
      "/etc/ssl/certs/ca-certificates.crt",
      List.of("update-ca-certificates"),
      List.of("update-ca-certificates", "--fresh")),
  /** A program of the same name that takes no options. */
  ALPINE(
      Set.of("alpine"),
      "/usr/local/share/ca-certificates",
      "/etc/ssl/certs/ca-certificates.crt",
      List.of("update-ca-certificates"),
      List.of("update-ca-certificates"));

  private static final String PREFIX = "mirror-operator-";

  private final Set<String> ids;
  private final String anchors;
  private final String bundle;
  private final List<String> add;
  private final List<String> takeAway;

  SystemStore(
      Set<String> ids, String anchors, String bundle, List<String> add, List<String> takeAway) {
    this.ids = ids;
    this.anchors = anchors;
    this.bundle = bundle;
    this.add = add;
    this.takeAway = takeAway;
  }

  /** The host's; empty for a distribution that is none of these. */
  static Optional<SystemStore> of(HostRoot host) throws IOException {
    Optional<String> release = host.read("/etc/os-release");
    String text = release.isPresent() ? release.get() : host.read("/usr/lib/os-release").orElse("");
    List<String> names = new ArrayList<>();
    for (String key : List.of("ID=", "ID_LIKE=")) {
      text.lines()
          .map(String::strip)
          .filter(line -> line.startsWith(key))
          .map(line -> line.substring(key.length()).replace("\"", "").replace("'", ""))
          .flatMap(value -> Stream.of(value.toLowerCase(Locale.ROOT).split(" ")))
          .forEach(names::add);
    }
    for (String name : names) {
      for (SystemStore store : values()) {
        boolean named = store.ids.contains(name) || store == SUSE && name.startsWith("opensuse-");
        if (named && host.isDirectory(store.anchors)) {
          return Optional.of(store);
        }
      }
    }
    return Optional.empty();
  }

  /** Whether a path is one of ours in any of the stores. */
  static boolean isAnchor(String path) {
    return Arrays.stream(values()).anyMatch(s -> path.startsWith(s.anchors + "/" + PREFIX));
  }

  /** Names that ours have there. */
  List<String> ours(HostRoot host) throws IOException {
    return host.list(anchors).stream()
        .filter(name -> name.startsWith(PREFIX))
        .map(name -> anchors + "/" + name)
        .toList();
  }

  /** One for each certificate of every authority; Debian takes one for each file, named .crt. */
  List<NodeFile> files(NodeConfig config) {
    Map<String, NodeFile> files = new TreeMap<>();
    for (String pem : config.authorities().values()) {
      for (X509Certificate certificate : Certificates.parse(pem)) {
        String path =
            anchors
                + "/"
                + PREFIX
                + Certificates.fingerprint(certificate).substring(0, 16)
                + ".crt";
        files.put(
            path,
            new NodeFile(
                path,
                NodeFile.Kind.TRUST,
                NodeFile.MARKER
                    + " for NodeRegistryConfig '"
                    + config.name()
                    + "' (mirrors.kubic.io); do not edit.\n"
                    + Certificates.pem(certificate)));
      }
    }
    return List.copyOf(files.values());
  }

  /** Certificates that the generated bundle lacks. */
  List<String> missing(HostRoot host, List<NodeFile> files) throws IOException {
    String text = bare(host.read(bundle).orElse(""));
    List<String> missing = new ArrayList<>();
    for (NodeFile file : files) {
      for (X509Certificate certificate : Certificates.parse(file.content())) {
        if (!text.contains(base64(certificate))) {
          missing.add(file.path());
        }
      }
    }
    return missing;
  }

  /**
   * Makes the files count.
   *
   * @param gone whether some were taken away
   * @return a problem, or nothing
   */
  Optional<String> update(HostRoot host, HostCommand command, List<NodeFile> files, boolean gone)
      throws IOException, InterruptedException {
    List<String> line = gone ? takeAway : add;
    HostCommand.Result result = command.run(line);
    List<String> missing = missing(host, files);
    if (missing.isEmpty() && result.code() == 0) {
      return Optional.empty();
    }
    String said = result.lastLine();
    return Optional.of(
        String.join(" ", line)
            + (result.code() == 0
                ? " ended well, but " + bundle + " lacks " + missing.getFirst()
                : " ended with " + result.code())
            + (said.isEmpty() ? "" : ": " + said));
  }

  private static String base64(X509Certificate certificate) {
    try {
      return Base64.getEncoder().encodeToString(certificate.getEncoded());
    } catch (CertificateEncodingException e) {
      throw new IllegalStateException(e); // it was decoded
    }
  }

  private static String bare(String pem) {
    return pem.lines().map(String::strip).collect(Collectors.joining());
  }
}
