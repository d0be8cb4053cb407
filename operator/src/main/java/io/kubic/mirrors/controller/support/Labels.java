package io.kubic.mirrors.controller.support;

import java.util.Map;
import java.util.TreeMap;

/**
 * The recommended labels, and ours. Selectors are never changed: they cannot be on a Deployment.
 */
public final class Labels {
  public static final String MANAGED_BY = "app.kubernetes.io/managed-by";
  public static final String OPERATOR = "mirror-operator";

  /** What informers select on. */
  public static final String SELECTOR = MANAGED_BY + "=" + OPERATOR;

  public static final String NAME = "app.kubernetes.io/name";
  public static final String INSTANCE = "app.kubernetes.io/instance";
  public static final String COMPONENT = "app.kubernetes.io/component";

  /** Namespace and name of the custom resource, where an owner reference cannot say it. */
  public static final String OWNER = "mirrors.kubic.io/owner";

  private Labels() {}

  /**
   * Labels of an object that belongs to a custom resource.
   *
   * @param name kind in lower case, as in {@code mirror-registry}
   * @param instance name of the custom resource, at most 63 characters
   */
  public static Map<String, String> of(String name, String instance) {
    Map<String, String> labels = new TreeMap<>();
    labels.put(NAME, name);
    labels.put(INSTANCE, instance);
    labels.put(MANAGED_BY, OPERATOR);
    return labels;
  }

  /** The labels a selector may use: they identify the pods of one custom resource. */
  public static Map<String, String> selector(String name, String instance) {
    Map<String, String> labels = of(name, instance);
    labels.remove(MANAGED_BY);
    return labels;
  }
}
