package io.kubic.mirrors.controller.support;

import io.kubic.mirrors.oci.ImageStore;

/** Opens a registry, where the operator itself reads from or writes to one. */
public interface MirrorStores {
  /**
   * @param authority {@code host:port}
   * @param caPem its roots
   * @param dockerConfig who may push, in Docker's form; empty for nobody
   */
  ImageStore open(String authority, String caPem, String dockerConfig);
}
