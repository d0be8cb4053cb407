package io.kubic.mirrors.controller.nodeconfig;

import io.kubic.mirrors.oci.ImageStore;

/** Opens the registry of a configuration for the probe image. */
public interface MirrorStores {
  /**
   * @param authority {@code host:port}
   * @param caPem its roots
   * @param dockerConfig who may push, in Docker's form; empty for nobody
   */
  ImageStore open(String authority, String caPem, String dockerConfig);
}
