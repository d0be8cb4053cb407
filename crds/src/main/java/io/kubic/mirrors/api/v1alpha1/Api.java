package io.kubic.mirrors.api.v1alpha1;

/** Names that the API promises to keep: group, version, annotations, and the patterns of fields. */
public final class Api {
  public static final String GROUP = "mirrors.kubic.io";
  public static final String VERSION = "v1alpha1";

  /** Any new value makes the operator run now; echoed in {@code status.lastHandledReconcileAt}. */
  public static final String RECONCILE_AT = GROUP + "/reconcile-at";

  /** The hash of the plan that a list with {@code approval: Manual} may carry out. */
  public static final String APPROVE = GROUP + "/approve";

  /** A time (RFC 3339): generated passwords made before it are replaced, with an overlap. */
  public static final String ROTATE_PASSWORDS = GROUP + "/rotate-passwords";

  /** A time: a key that signs tokens and was made before it gets a successor. */
  public static final String ROTATE_TOKEN_KEYS = GROUP + "/rotate-token-keys";

  /** A time: a server certificate made before it is renewed. */
  public static final String ROTATE_CERTIFICATE = GROUP + "/rotate-certificate";

  /** A time: a CA made before it gets a successor, which is trusted before it signs. */
  public static final String ROTATE_CA = GROUP + "/rotate-ca";

  /** {@code true}: a CA whose key is lost may get a successor at once. */
  public static final String REPLACE_LOST_CA = GROUP + "/replace-lost-ca";

  /** {@code true}: a registry is deleted although nodes still pull from it. */
  public static final String FORCE_DELETE = GROUP + "/force-delete";

  /** A time: a loss of content that was found before it is accepted, and the registry is Ready. */
  public static final String ACCEPT_DATA_LOSS = GROUP + "/accept-data-loss";

  /** A time: garbage is collected unless it was after this time. */
  public static final String COLLECT_GARBAGE = GROUP + "/collect-garbage";

  /** A time: the content is hashed anew unless it was after this time. */
  public static final String SCRUB = GROUP + "/scrub";

  /** A Go duration of hours, minutes, seconds and milliseconds, as in {@code 1h30m}. */
  static final String DURATION = "^([0-9]+(ms|s|m|h))+$";

  /** A registry: {@code host}, {@code host:port}, {@code 10.0.0.1:5000} or {@code [::1]:5000}. */
  static final String REGISTRY =
      "^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\\[[0-9a-fA-F:]+\\])(:[0-9]{1,5})?$";

  /** The shape of a five-field cron schedule; the values are judged by the parser. */
  static final String CRON = "^\\S+(\\s+\\S+){4}$";

  /** A DNS-1123 subdomain, the form of an object's name. */
  static final String NAME = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

  /** A path below a directory: no leading slash, no part that is {@code ..}. */
  static final String RELATIVE_PATH =
      "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$";

  private Api() {}
}
