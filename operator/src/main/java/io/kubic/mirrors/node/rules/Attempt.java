package io.kubic.mirrors.node.rules;

/**
 * One place that a runtime would ask.
 *
 * @param address the image there as the containers library names it, or the URL of the API's root
 *     and the repository for containerd
 * @param insecure without verification of certificates
 * @param blocked the runtime refuses to ask it
 */
public record Attempt(String address, boolean insecure, boolean blocked) {
  @Override
  public String toString() {
    return address + (insecure ? " (insecure)" : "") + (blocked ? " (blocked)" : "");
  }
}
