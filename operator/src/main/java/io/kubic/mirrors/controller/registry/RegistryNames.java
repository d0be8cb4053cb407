package io.kubic.mirrors.controller.registry;

/** The names of all objects that belong to one MirrorRegistry. */
public record RegistryNames(String namespace, String name) {
  /** Longest name of a MirrorRegistry: its Service and labels must fit into 63 characters. */
  public static final int MAX_NAME = 40;

  /** Service, Deployment and claim. */
  public String main() {
    return name + "-registry";
  }

  /** ConfigMap with gateway.json. */
  public String gateway() {
    return main() + "-gateway";
  }

  /** ConfigMap with what a Job of upkeep is told. */
  public String upkeep() {
    return main() + "-upkeep";
  }

  /** Secret with distribution's config.yml. */
  public String config() {
    return main() + "-config";
  }

  /** Secret with random values that are made once. */
  public String keys() {
    return main() + "-keys";
  }

  /** Secret with the keys that sign tokens. */
  public String tokenKeys() {
    return main() + "-token-keys";
  }

  /** Secret with the passwords of generated users that are good now, and when they were made. */
  public String passwords() {
    return main() + "-passwords";
  }

  /** Secret with what the gateway compares passwords with. */
  public String users() {
    return main() + "-users";
  }

  /** Secret with the CA's certificate and key. */
  public String ca() {
    return main() + "-ca";
  }

  /** Secret with the certificate and key that are served. */
  public String tls() {
    return main() + "-tls";
  }

  /** The Certificate that cert-manager is asked for, and the Secret that it keeps. */
  public String certManager() {
    return main() + "-cert-manager";
  }

  /** ConfigMap with the CA bundle that clients trust. */
  public String trust() {
    return main() + "-trust";
  }

  /** Secret with the credentials of a generated user. */
  public String credentials(GeneratedUser user) {
    return main() + "-" + user.user();
  }

  /** The audience of tokens. */
  public String service() {
    return name + "." + namespace;
  }
}
