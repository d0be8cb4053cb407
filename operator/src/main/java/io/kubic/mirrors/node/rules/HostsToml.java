package io.kubic.mirrors.node.rules;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.Location;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * containerd's hosts.toml: docs/hosts.md and core/remotes/docker/config/hosts.go. An error in it is
 * logged by containerd and the source is contacted, so whatever it would log is refused here.
 *
 * @param hosts in the order of being asked; the last is the server, whose address is empty when the
 *     source itself is meant
 */
public record HostsToml(List<Host> hosts) {
  private static final Set<String> HOST =
      Set.of(
          "capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout");
  private static final Set<String> TOP =
      java.util.stream.Stream.concat(HOST.stream(), java.util.stream.Stream.of("server", "host"))
          .collect(java.util.stream.Collectors.toUnmodifiableSet());
  private static final Set<String> CAPABILITIES = Set.of("pull", "resolve", "push", "referrers");

  /**
   * One host.
   *
   * @param url scheme, registry and path of the API's root; empty for the source itself
   * @param tls something is said about TLS; then even {@code http} tries TLS first
   * @param authorities paths of CA files, relative to the file's directory or absolute
   * @param clients paths of client certificates, each alone or with its key
   */
  public record Host(
      String url,
      boolean pull,
      boolean resolve,
      boolean skipVerify,
      boolean tls,
      List<String> authorities,
      List<List<String>> clients) {

    /**
     * The address that is asked first. A host of plain HTTP for which something is said about TLS
     * is asked with TLS, and in the clear where it does not speak it, except on port 80.
     */
    private Attempt attempt(ImageName image) {
      if (url.isEmpty()) {
        return source(image, skipVerify);
      }
      boolean falls = url.startsWith("http://") && tls && !authority(url).endsWith(":80");
      return new Attempt(
          (falls ? "https" + url.substring(4) : url) + "/" + image.repository(),
          skipVerify || falls,
          false);
    }
  }

  /**
   * @param text of the file; nothing at all means that there is no file
   * @throws InvalidFileException when containerd 1.6 or later would not read it as it stands
   */
  public static HostsToml parse(String text, String name) throws InvalidFileException {
    TomlFile file = TomlFile.parse(text, name);
    ObjectNode root = file.root();
    file.exactKeys(root, "", TOP);
    ObjectNode table = file.table(root, "", "host");
    List<String> order = headers(text);
    List<Host> hosts = new ArrayList<>();
    List<String> named = table == null ? List.of() : TomlFile.fields(table);
    if (!Set.copyOf(named).equals(Set.copyOf(order)) || named.size() != order.size()) {
      throw file.invalid(
          "host", "containerd takes the order from headers; write [host.\"URL\"], each once");
    }
    if (table != null) {
      for (String host : order) {
        String path = "host.\"" + host + "\"";
        ObjectNode settings = file.table(table, "host", host);
        if (settings == null || host.isEmpty()) {
          throw file.invalid(path, "is no table of a host");
        }
        file.exactKeys(settings, path, HOST);
        hosts.add(host(file, settings, path, host));
      }
    }
    hosts.add(host(file, root, "", orEmpty(file.string(root, "", "server"))));
    return new HostsToml(List.copyOf(hosts));
  }

  /** Whether versions before 2.0 read it: they want at least one {@code [host]} table. */
  public boolean readBefore2() {
    return hosts.size() > 1;
  }

  /** Whom containerd asks for an image, in order, for its manifest. */
  public List<Attempt> attempts(ImageName image) {
    List<Attempt> attempts = new ArrayList<>();
    for (Host host : hosts) {
      if (image.digest() != null ? host.pull() : host.resolve()) {
        attempts.add(host.attempt(image));
      }
    }
    return attempts;
  }

  /** The registry of an image itself, as containerd reaches it when nothing else is said. */
  public static Attempt source(ImageName image) {
    return source(image, false);
  }

  private static Attempt source(ImageName image, boolean skipVerify) {
    String registry = image.registry();
    boolean local = isLocal(registry);
    String port = registry.substring(Location.parse(registry, "registry").host().length());
    boolean clear = local && port.equals(":80");
    return new Attempt(
        (clear && !skipVerify ? "http://" : "https://")
            + (registry.equals("docker.io") ? "registry-1.docker.io" : registry)
            + "/v2/"
            + image.repository(),
        local && !clear || skipVerify,
        false);
  }

  /** docker.IsLocalhost: on this machine certificates are not verified, and HTTP is tried. */
  private static boolean isLocal(String registry) {
    String host = Location.parse(registry, "registry").host();
    return host.equals("localhost")
        || isLoopback(host)
        || host.equals("[::1]") && !host.equals(registry);
  }

  private static boolean isLoopback(String host) {
    String[] parts = host.split("\\.", -1);
    return parts.length == 4
        && parts[0].equals("127")
        && java.util.Arrays.stream(parts)
            .allMatch(
                part ->
                    !part.isEmpty()
                        && part.length() <= 3
                        && (part.length() == 1 || part.charAt(0) != '0')
                        && part.chars().allMatch(c -> c >= '0' && c <= '9')
                        && Integer.parseInt(part) <= 255);
  }

  private static String authority(String url) {
    int start = url.indexOf("://") + 3;
    int slash = url.indexOf('/', start);
    return slash < 0 ? url.substring(start) : url.substring(start, slash);
  }

  private static Host host(TomlFile file, ObjectNode table, String path, String url)
      throws InvalidFileException {
    boolean override = file.bool(table, path, "override_path");
    List<String> capabilities = file.strings(table, path, "capabilities");
    if (capabilities == null || capabilities.isEmpty()) {
      capabilities = List.of("pull", "resolve");
    }
    boolean pull = false;
    boolean resolve = false;
    for (String capability : capabilities) {
      String lower = capability.toLowerCase(Locale.ROOT);
      if (!CAPABILITIES.contains(lower)) {
        throw file.invalid(TomlFile.join(path, "capabilities"), "'" + capability + "' is unknown");
      }
      pull |= lower.equals("pull");
      resolve |= lower.equals("resolve");
    }
    String timeout = file.string(table, path, "dial_timeout");
    if (timeout != null && !timeout.isEmpty() && !isGoDuration(timeout)) {
      throw file.invalid(TomlFile.join(path, "dial_timeout"), "is no duration such as 2s");
    }
    ObjectNode header = file.table(table, path, "header");
    if (header != null) {
      for (String key : TomlFile.fields(header)) {
        JsonNode value = header.get(key);
        if (!value.isTextual()) {
          file.strings(value, TomlFile.join(path, "header." + key));
        }
      }
    }
    List<List<String>> clients = clients(file, table.get("client"), TomlFile.join(path, "client"));
    // The address of the source replaces what is said about its capabilities.
    return new Host(
        url.isEmpty() ? "" : root(file, url, path.isEmpty() ? "server" : path, override),
        url.isEmpty() || pull,
        url.isEmpty() || resolve,
        file.bool(table, path, "skip_verify"),
        table.has("skip_verify") || table.has("ca") || !clients.isEmpty(),
        authorities(file, table.get("ca"), TomlFile.join(path, "ca")),
        clients);
  }

  private static List<String> authorities(TomlFile file, @Nullable JsonNode value, String path)
      throws InvalidFileException {
    if (value == null) {
      return List.of();
    }
    return value.isTextual() ? List.of(value.textValue()) : file.strings(value, path);
  }

  private static List<List<String>> clients(TomlFile file, @Nullable JsonNode value, String path)
      throws InvalidFileException {
    if (value == null) {
      return List.of();
    }
    if (value.isTextual()) {
      return List.of(List.of(value.textValue()));
    }
    if (!value.isArray()) {
      throw file.invalid(path, "is neither a path nor a list of paths");
    }
    List<List<String>> clients = new ArrayList<>();
    for (JsonNode element : value) {
      List<String> pair =
          element.isTextual() ? List.of(element.textValue()) : file.strings(element, path);
      if (!element.isTextual() && pair.size() != 2) {
        throw file.invalid(path, "holds something else than pairs of certificate and key");
      }
      clients.add(pair);
    }
    return clients;
  }

  /** Only URLs whose meaning is beyond doubt: scheme, registry and a clean path. */
  private static String root(TomlFile file, String url, String path, boolean override)
      throws InvalidFileException {
    String full = url.startsWith("http") ? url : "https://" + url;
    int at = full.startsWith("https://") ? 8 : full.startsWith("http://") ? 7 : -1;
    try {
      if (at < 0) {
        throw file.invalid(path, "is no URL of http or https");
      }
      Location location = Location.parse(full.substring(at), path);
      String api = location.path().isEmpty() ? "" : "/" + location.path();
      if (!override && !api.endsWith("/v2")) {
        api += "/v2";
      }
      return full.substring(0, at) + location.registry() + api;
    } catch (InvalidSpecException e) {
      throw file.invalid(path, "is no URL https://host[:port][/path]");
    }
  }

  /**
   * The hosts in the order of their {@code [host."…"]} headers, as containerd's getSortedHosts: a
   * host that comes again after another is asked again; here the lists then differ and the file is
   * refused, as with lines inside of multi-line strings, which cannot be told apart here.
   */
  private static List<String> headers(String text) {
    List<String> hosts = new ArrayList<>();
    text.lines()
        .map(String::strip)
        .filter(line -> line.startsWith("[") && !line.startsWith("[["))
        .forEach(
            line -> {
              String inner = line.substring(1).stripLeading();
              if (!inner.startsWith("host")) {
                return;
              }
              inner = inner.substring(4).stripLeading();
              if (!inner.startsWith(".")) {
                return;
              }
              inner = inner.substring(1).stripLeading();
              if (inner.isEmpty()) {
                return;
              }
              char quote = inner.charAt(0);
              if (quote == '"' || quote == '\'') {
                int end = inner.indexOf(quote, 1);
                if (end > 0) {
                  add(hosts, inner.substring(1, end));
                }
              } else {
                int end = 0;
                while (end < inner.length()
                    && (Character.isLetterOrDigit(inner.charAt(end))
                        || "-_".indexOf(inner.charAt(end)) >= 0)) {
                  end++;
                }
                add(hosts, inner.substring(0, end));
              }
            });
    return List.copyOf(hosts);
  }

  private static void add(List<String> hosts, String host) {
    if (hosts.isEmpty() || !hosts.getLast().equals(host)) {
      hosts.add(host);
    }
  }

  private static boolean isGoDuration(String text) {
    String rest = text.startsWith("-") || text.startsWith("+") ? text.substring(1) : text;
    if (rest.equals("0")) {
      return true;
    }
    try {
      return !io.kubic.mirrors.api.v1alpha1.GoDuration.parse(rest, "dial_timeout").isNegative()
          && rest.length() < 12;
    } catch (InvalidSpecException e) {
      return false;
    }
  }

  private static String orEmpty(@Nullable String text) {
    return text == null ? "" : text;
  }
}
