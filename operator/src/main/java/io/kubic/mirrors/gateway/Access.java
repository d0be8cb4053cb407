package io.kubic.mirrors.gateway;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Actions on one resource, as a scope names them and a token grants them (distribution's token
 * scope documentation): {@code repository:library/app:pull,push}, {@code registry:catalog:*}.
 */
record Access(String type, String name, Set<String> actions) {
  /** More are never asked for by a client that means well. */
  private static final int MAX_SCOPES = 64;

  static final String REPOSITORY = "repository";
  static final String PULL = "pull";
  static final String PUSH = "push";
  static final String DELETE = "delete";
  static final String ALL = "*";

  Access {
    actions = java.util.Collections.unmodifiableSet(new LinkedHashSet<>(actions));
  }

  static Access repository(String name, String... actions) {
    return new Access(REPOSITORY, name, new LinkedHashSet<>(List.of(actions)));
  }

  static Access catalog() {
    return new Access("registry", "catalog", Set.of(ALL));
  }

  /**
   * Reads scope parameters, each of one or several scopes with spaces between; the same resource
   * named twice is one with the actions of both. What is no scope is passed over: a client may ask
   * for what we do not know, and gets what we do.
   */
  static List<Access> parse(List<String> parameters) {
    Map<String, Access> found = new LinkedHashMap<>();
    for (String parameter : parameters) {
      for (String scope : parameter.split(" ")) {
        int type = scope.indexOf(':');
        int name = scope.lastIndexOf(':');
        if (type <= 0 || name <= type + 1 || found.size() >= MAX_SCOPES) {
          continue;
        }
        String resource = scope.substring(0, name);
        Access before = found.get(resource);
        Set<String> actions = new LinkedHashSet<>(before == null ? Set.of() : before.actions);
        for (String action : scope.substring(name + 1).split(",")) {
          if (!action.isBlank()) {
            actions.add(action.strip());
          }
        }
        found.put(
            resource,
            new Access(scope.substring(0, type), scope.substring(type + 1, name), actions));
      }
    }
    return new ArrayList<>(found.values());
  }

  /** Whether this, as a grant, is enough for what is asked. */
  boolean covers(Access asked) {
    return type.equals(asked.type)
        && name.equals(asked.name)
        && (actions.contains(ALL) || actions.containsAll(asked.actions));
  }

  /** The scope as clients write it. */
  String scope() {
    return type + ":" + name + ":" + String.join(",", actions);
  }
}
