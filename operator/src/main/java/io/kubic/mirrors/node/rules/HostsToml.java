package io.kubic.mirrors.node.rules;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.Location;
import java.util.ArrayList;
import java.util.LinkedHashSet;
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
   * @param authorities paths of CA files, relative to the file's directory or absolute
   * @param files paths of client certificates and keys
   */
  public record Host(
      String url,
      boolean pull,
      boolean resolve,
      boolean skipVerify,
      List<String> authorities,
      List<String> files) {}

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
        if (settings == null) {
          throw file.invalid(path, "is no table");
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
        attempts.add(
            new Attempt(
                (host.url().isEmpty() ? source(image.registry()) : host.url())
                    + "/"
                    + image.repository(),
                host.skipVerify(),
                false));
      }
    }
    return attempts;
  }

  /** The registry itself, as containerd reaches it when nothing else is said. */
  public static String source(String registry) {
    if (registry.equals("docker.io")) {
      return "https://registry-1.docker.io/v2";
    }
    return (isLocal(registry) ? "http://" : "https://") + registry + "/v2";
  }

  /** On this machine containerd takes plain HTTP, except on no port and on 443. */
  private static boolean isLocal(String registry) {
    Location location = Location.parse(registry, "registry");
    String host = location.host();
    String port = registry.substring(host.length());
    return (host.equals("localhost") || host.startsWith("127.") || host.equals("[::1]"))
        && !port.isEmpty()
        && !port.equals(":443");
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
    return new Host(
        url.isEmpty() ? "" : root(file, url, path.isEmpty() ? "server" : path, override),
        pull,
        resolve,
        file.bool(table, path, "skip_verify"),
        paths(file, table.get("ca"), TomlFile.join(path, "ca"), 1),
        paths(file, table.get("client"), TomlFile.join(path, "client"), 2));
  }

  private static List<String> paths(TomlFile file, @Nullable JsonNode value, String path, int depth)
      throws InvalidFileException {
    List<String> paths = new ArrayList<>();
    if (value == null) {
      return paths;
    }
    if (value.isTextual()) {
      paths.add(value.textValue());
      return paths;
    }
    if (!value.isArray()) {
      throw file.invalid(path, "is neither a path nor a list of paths");
    }
    for (JsonNode element : value) {
      if (element.isTextual()) {
        paths.add(element.textValue());
      } else {
        List<String> pair = depth > 1 ? file.strings(element, path) : List.of();
        if (pair.size() != 2) {
          throw file.invalid(path, "is neither a path nor a list of paths");
        }
        paths.addAll(pair);
      }
    }
    return paths;
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
   * The hosts in the order of their {@code [host."…"]} headers, each once. Lines inside of
   * multi-line strings cannot be told apart here; they make the two lists differ and the file is
   * refused.
   */
  private static List<String> headers(String text) {
    Set<String> hosts = new LinkedHashSet<>();
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
                  hosts.add(inner.substring(1, end));
                }
              } else {
                int end = 0;
                while (end < inner.length()
                    && (Character.isLetterOrDigit(inner.charAt(end))
                        || "-_".indexOf(inner.charAt(end)) >= 0)) {
                  end++;
                }
                hosts.add(inner.substring(0, end));
              }
            });
    return List.copyOf(hosts);
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
