package io.kubic.mirrors.node.rules;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.Location;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * containers-registries.conf(5), version 2: one file, or several merged. The rules follow
 * sysregistriesv2 of the containers library; where its versions differ, the strictest.
 *
 * @param tables by prefix; exactly one of them applies to an image
 * @param search where short names are looked up; null when nothing is said
 * @param mode {@code short-name-mode}; null when nothing is said
 */
public record RegistriesConf(
    SortedMap<String, Table> tables, @Nullable List<String> search, @Nullable String mode) {
  private static final Set<String> TOP =
      Set.of(
          "registry",
          "unqualified-search-registries",
          "credential-helpers",
          "short-name-mode",
          "additional-layer-store-auth-helper",
          "aliases",
          "registries");
  private static final Set<String> REGISTRY =
      Set.of(
          "prefix",
          "location",
          "insecure",
          "blocked",
          "mirror-by-digest-only",
          "mirror",
          "pull-from-mirror",
          "namespace-proxy");

  /** Nothing is configured: every image is asked for where its name says. */
  public static final RegistriesConf EMPTY = new RegistriesConf(new TreeMap<>(), null, null);

  /**
   * One {@code [[registry]]}.
   *
   * @param location empty for a wildcard without one: names stay as they are
   * @param file where it was read
   */
  public record Table(
      String prefix,
      String location,
      boolean insecure,
      boolean blocked,
      boolean mirrorByDigestOnly,
      List<Mirror> mirrors,
      String file) {
    boolean sameMeaning(Table other) {
      return insecure == other.insecure && blocked == other.blocked;
    }

    private String place() {
      return location.isEmpty() ? prefix : location;
    }
  }

  /** One {@code [[registry.mirror]]}. */
  public record Mirror(String location, boolean insecure, String pull) {}

  /**
   * One file.
   *
   * @param name its path, for messages
   * @throws InvalidFileException when the library refuses the file; it then refuses everything
   */
  public static RegistriesConf parse(String text, String name) throws InvalidFileException {
    TomlFile file = TomlFile.parse(text, name);
    ObjectNode root = file.root();
    file.exactKeys(root, "", TOP);
    if (root.has("registries")) {
      throw file.invalid(
          "registries",
          "is the format of version 1, which newer runtimes refuse; write [[registry]] tables");
    }
    Map<String, List<Table>> places = new HashMap<>();
    SortedMap<String, Table> tables = new TreeMap<>();
    List<ObjectNode> registries = file.tables(root, "", "registry");
    for (int i = 0; i < registries.size(); i++) {
      Table table = table(file, registries.get(i), "registry[" + i + "]");
      for (Table other : places.computeIfAbsent(table.place(), _ -> new ArrayList<>())) {
        if (!other.sameMeaning(table)) {
          throw file.invalid(
              "registry[" + i + "]",
              "'" + table.place() + "' stands twice with different 'insecure' or 'blocked'");
        }
      }
      places.get(table.place()).add(table);
      tables.putIfAbsent(table.prefix(), table); // the first of one file wins
    }
    List<String> search = file.strings(root, "", "unqualified-search-registries");
    if (search != null) {
      List<String> hosts = new ArrayList<>();
      for (String entry : search) {
        String host = location(file, entry, "unqualified-search-registries");
        if (!Location.isRegistry(host) || host.startsWith("[")) {
          throw file.invalid(
              "unqualified-search-registries",
              "'" + entry + "' is no host[:port]; IPv6 addresses are refused, too");
        }
        hosts.add(host);
      }
      search = List.copyOf(hosts);
    }
    file.strings(root, "", "credential-helpers");
    file.string(root, "", "additional-layer-store-auth-helper");
    String mode = file.string(root, "", "short-name-mode");
    if (mode != null
        && !mode.isEmpty()
        && !Set.of("enforcing", "permissive", "disabled").contains(mode)) {
      throw file.invalid("short-name-mode", "write enforcing, permissive or disabled");
    }
    aliases(file, root);
    return new RegistriesConf(tables, search, mode == null || mode.isEmpty() ? null : mode);
  }

  private static Table table(TomlFile file, ObjectNode node, String path)
      throws InvalidFileException {
    file.exactKeys(node, path, REGISTRY);
    String location = location(file, file.string(node, path, "location"), path + ".location");
    String prefix = location(file, file.string(node, path, "prefix"), path + ".prefix");
    boolean wildcard = prefix.startsWith("*.");
    if (prefix.isEmpty() && !orEmpty(file.string(node, path, "prefix")).isEmpty()) {
      throw file.invalid(path + ".prefix", "matches nothing");
    }
    if (prefix.isEmpty()) {
      if (location.isEmpty()) {
        throw file.invalid(path, "has neither prefix nor location");
      }
      prefix = location;
      wildcard = prefix.startsWith("*.");
    } else if (location.isEmpty() && !wildcard) {
      throw file.invalid(path + ".location", "is missing; only a prefix *.host may do without");
    }
    if (wildcard && prefix.chars().anyMatch(c -> "/@:".indexOf(c) >= 0)) {
      throw file.invalid(path + ".prefix", "a wildcard is *.host, without port and path");
    }
    if (!"".equals(orEmpty(file.string(node, path, "pull-from-mirror")))) {
      throw file.invalid(path + ".pull-from-mirror", "belongs into [[registry.mirror]]");
    }
    file.string(node, path, "namespace-proxy");
    boolean digestOnly = file.bool(node, path, "mirror-by-digest-only");
    List<Mirror> mirrors = new ArrayList<>();
    List<ObjectNode> nodes = file.tables(node, path, "mirror");
    for (int i = 0; i < nodes.size(); i++) {
      String at = path + ".mirror[" + i + "]";
      file.exactKeys(nodes.get(i), at, REGISTRY);
      String mirror = location(file, file.string(nodes.get(i), at, "location"), at + ".location");
      if (mirror.isEmpty()) {
        throw file.invalid(at + ".location", "is missing");
      }
      String pull = orEmpty(file.string(nodes.get(i), at, "pull-from-mirror"));
      if (!Set.of("", "all", "digest-only", "tag-only").contains(pull)) {
        throw file.invalid(at + ".pull-from-mirror", "write all, digest-only or tag-only");
      }
      if (digestOnly && !pull.isEmpty()) {
        throw file.invalid(at + ".pull-from-mirror", "excludes mirror-by-digest-only");
      }
      file.string(nodes.get(i), at, "namespace-proxy");
      mirrors.add(new Mirror(mirror, file.bool(nodes.get(i), at, "insecure"), pull));
    }
    return new Table(
        prefix,
        location,
        file.bool(node, path, "insecure"),
        file.bool(node, path, "blocked"),
        digestOnly,
        List.copyOf(mirrors),
        file.invalid("", "").file());
  }

  private static String location(TomlFile file, @Nullable String text, String path)
      throws InvalidFileException {
    if (text == null) {
      return "";
    }
    int end = text.length();
    while (end > 0 && text.charAt(end - 1) == '/') {
      end--;
    }
    String trimmed = text.substring(0, end);
    if (trimmed.startsWith("http://") || trimmed.startsWith("https://")) {
      throw file.invalid(path, "is a URL; write host[:port][/path] without a scheme");
    }
    return trimmed;
  }

  private static void aliases(TomlFile file, ObjectNode root) throws InvalidFileException {
    ObjectNode aliases = file.table(root, "", "aliases");
    if (aliases == null) {
      return;
    }
    for (String name : TomlFile.fields(aliases)) {
      String path = "aliases." + name;
      String value = orEmpty(file.string(aliases, "aliases", name));
      int slash = name.indexOf('/');
      String first = slash < 0 ? "" : name.substring(0, slash);
      if (!Location.isRepository(name) || first.indexOf('.') >= 0 || first.equals("localhost")) {
        throw file.invalid(path, "is no short name");
      }
      if (!value.isEmpty()) {
        try {
          ImageName image = ImageName.parse(value, path);
          if (image.digest() != null || value.indexOf(':', value.indexOf('/')) >= 0) {
            throw file.invalid(path, "names a tag or a digest; write host/repository");
          }
        } catch (InvalidSpecException e) {
          throw file.invalid(path, "is no host/repository");
        }
      }
    }
  }

  private static String orEmpty(@Nullable String text) {
    return text == null ? "" : text;
  }

  /** This, overridden by a file that is read later: whole tables by prefix, lists as a whole. */
  public RegistriesConf and(RegistriesConf later) {
    SortedMap<String, Table> merged = new TreeMap<>(tables);
    merged.putAll(later.tables);
    return new RegistriesConf(
        merged,
        later.search == null ? search : later.search,
        later.mode == null ? mode : later.mode);
  }

  /** The table that applies to {@code host/repository}: that of the longest matching prefix. */
  public Optional<Table> table(String name) {
    Table found = null;
    for (Table table : tables.values()) {
      if (match(name, table.prefix()) >= 0
          && (found == null || table.prefix().length() > found.prefix().length())) {
        found = table;
      }
    }
    return Optional.ofNullable(found);
  }

  /**
   * Whom the library asks for an image, in order; the first that has it serves it.
   *
   * @throws InvalidFileException when a name cannot be rewritten for one of them: then none is
   *     asked
   */
  public List<Attempt> attempts(ImageName image) throws InvalidFileException {
    String reference =
        image.name() + (image.digest() != null ? "@" + image.digest() : ":" + image.tag());
    if (image.registry().startsWith("[")) {
      throw new InvalidFileException(
          reference, "CRI-O and podman know no IPv6 addresses in names; use the registry's name");
    }
    Optional<Table> applies = table(image.name());
    if (applies.isEmpty()) {
      return List.of(attempt(reference, false));
    }
    Table table = applies.get();
    List<Attempt> attempts = new ArrayList<>();
    boolean digested = image.digest() != null;
    for (Mirror mirror : table.mirrors()) {
      if (digested
          ? !mirror.pull().equals("tag-only")
          : !table.mirrorByDigestOnly() && !mirror.pull().equals("digest-only")) {
        attempts.add(attempt(rewrite(reference, table, mirror.location()), mirror.insecure()));
      }
    }
    attempts.add(attempt(rewrite(reference, table, table.location()), table.insecure()));
    return attempts;
  }

  /** {@code blocked} is looked up for the place that is contacted, not for the image. */
  private Attempt attempt(String reference, boolean insecure) {
    int end = reference.indexOf('@');
    if (end < 0) {
      end = reference.lastIndexOf(':');
    }
    return new Attempt(
        reference, insecure, table(reference.substring(0, end)).map(Table::blocked).orElse(false));
  }

  private static String rewrite(String reference, Table table, String location)
      throws InvalidFileException {
    if (location.isEmpty()) {
      return reference;
    }
    String rewritten = location + reference.substring(match(reference, table.prefix()));
    try {
      ImageName parsed = ImageName.parse(rewritten, "reference");
      if (parsed.toString().equals(rewritten)
          && parsed.name().length() <= 255
          && !parsed.registry().startsWith("[") // its reference.go has no IPv6
          && !parsed.registry().equals("index.docker.io")) {
        return rewritten;
      }
    } catch (InvalidSpecException e) {
      // said below, with the file
    }
    throw new InvalidFileException(
        table.file(),
        "the table of '"
            + table.prefix()
            + "' turns "
            + reference
            + " into "
            + rewritten
            + ", which is no image; add a table for "
            + reference.substring(0, Math.max(0, reference.indexOf('/'))));
  }

  /** Length of the part of the name that the prefix matches, or -1. */
  private static int match(String name, String prefix) {
    int end;
    if (prefix.startsWith("*.")) {
      int at = name.indexOf(prefix.substring(1));
      if (at < 0 || name.substring(0, at).indexOf('/') >= 0) {
        return -1;
      }
      end = at + prefix.length() - 1;
    } else {
      if (!name.startsWith(prefix)) {
        return -1;
      }
      end = prefix.length();
    }
    return end == name.length() || ":/@".indexOf(name.charAt(end)) >= 0 ? end : -1;
  }
}
