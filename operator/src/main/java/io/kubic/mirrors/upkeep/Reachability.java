package io.kubic.mirrors.upkeep;

import io.kubic.mirrors.oci.Digest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which manifests are needed. A digest that is needed anywhere is needed everywhere: keeping a link
 * costs nothing where the bytes stay anyway, and the index of one repository may list what only
 * another holds. Needed are
 *
 * <ul>
 *   <li>what a tag names, and the subject of a fallback tag ({@code sha256-HEX}, {@code
 *       sha256-HEX.sig}; OCI distribution specification, "Referrers Tag Schema");
 *   <li>what somebody names who runs it, or selects it by its digest;
 *   <li>what a needed index lists, nested or absent in its own repository;
 *   <li>what names a needed manifest as its subject (signatures, SBOMs), and a needed referrer's
 *       subject.
 * </ul>
 *
 * <p>Pure.
 */
public final class Reachability {
  private Reachability() {}

  /**
   * What a manifest leads to.
   *
   * @param children of an index; not those that are known to be no manifests
   */
  public record Node(List<Digest> children, Optional<Digest> subject) {
    public Node {
      children = List.copyOf(children);
    }
  }

  /**
   * The needed digests; some may be in no repository.
   *
   * @param nodes every manifest of every repository
   * @param tags name and target of every tag of every repository
   * @param kept digests that somebody runs or selects
   */
  public static Set<Digest> needed(
      Map<Digest, Node> nodes, Collection<Map.Entry<String, Digest>> tags, Set<Digest> kept) {
    Map<Digest, List<Digest>> referrers = new HashMap<>();
    nodes.forEach(
        (digest, node) ->
            node.subject()
                .ifPresent(
                    subject ->
                        referrers.computeIfAbsent(subject, s -> new ArrayList<>()).add(digest)));
    Set<Digest> needed = new HashSet<>();
    Deque<Digest> next = new ArrayDeque<>(kept);
    for (Map.Entry<String, Digest> tag : tags) {
      next.add(tag.getValue());
      fallbackSubject(tag.getKey()).ifPresent(next::add);
    }
    while (!next.isEmpty()) {
      Digest digest = next.removeFirst();
      if (!needed.add(digest)) {
        continue;
      }
      next.addAll(referrers.getOrDefault(digest, List.of()));
      Node node = nodes.get(digest);
      if (node != null) {
        next.addAll(node.children());
        node.subject().ifPresent(next::add);
      }
    }
    return needed;
  }

  /** The digest in {@code sha256-HEX} and {@code sha256-HEX.anything}. */
  static Optional<Digest> fallbackSubject(String tag) {
    int dash = tag.indexOf('-');
    if (dash <= 0) {
      return Optional.empty();
    }
    int dot = tag.indexOf('.', dash);
    String hex = tag.substring(dash + 1, dot < 0 ? tag.length() : dot);
    return Digest.tryParse(tag.substring(0, dash) + ":" + hex);
  }
}
