package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.ConfigMap;
import org.jspecify.annotations.Nullable;

/** Members of ConfigMaps. */
public final class ConfigMaps {
  private ConfigMaps() {}

  /** The member; the empty string where there is none, or no ConfigMap. */
  public static String text(@Nullable ConfigMap map, String key) {
    return map == null || map.getData() == null ? "" : map.getData().getOrDefault(key, "");
  }
}
