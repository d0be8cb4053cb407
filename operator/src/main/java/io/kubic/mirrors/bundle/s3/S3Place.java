package io.kubic.mirrors.bundle.s3;

import java.net.URI;
import java.net.URISyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * Which objects of which service.
 *
 * @param bucket 3 to 63 lower case letters, digits, dots and dashes (docs.aws.amazon.com, "General
 *     purpose bucket naming rules"), or what an older service allows
 * @param prefix of the keys, without slashes at its ends; empty for the whole bucket
 * @param region as the service calls it
 * @param endpoint where the service is reached; null for AWS
 * @param pathStyle whether the bucket is named in the path and not in the host name
 */
public record S3Place(
    String bucket, String prefix, String region, @Nullable URI endpoint, boolean pathStyle) {
  private static final String SCHEME = "s3://";

  public S3Place {
    if (!isBucket(bucket)) {
      throw new IllegalArgumentException(
          "'" + bucket + "' is no name of a bucket: 3 to 255 letters, digits, dots and dashes");
    }
    if (prefix.startsWith("/") || prefix.endsWith("/") || prefix.contains("//")) {
      throw new IllegalArgumentException(
          "'" + prefix + "' is no prefix: write it as in bundles/kubic, with single slashes");
    }
    if (prefix.chars().anyMatch(c -> c < ' ' || c == 0x7f)) {
      throw new IllegalArgumentException("a prefix has no control characters");
    }
  }

  /** Whether a text names a bucket, and not a directory. */
  public static boolean isUrl(String text) {
    return text.startsWith(SCHEME);
  }

  /**
   * Reads {@code s3://BUCKET[/PREFIX]}.
   *
   * @param endpoint URL with http or https; null for AWS
   * @throws IllegalArgumentException when it is something else
   */
  public static S3Place parse(
      String url, String region, @Nullable String endpoint, boolean pathStyle) {
    if (!isUrl(url)) {
      throw new IllegalArgumentException("'" + url + "' is no URL as in s3://bucket/prefix");
    }
    String rest = url.substring(SCHEME.length());
    int slash = rest.indexOf('/');
    String prefix = slash < 0 ? "" : rest.substring(slash + 1);
    return new S3Place(
        slash < 0 ? rest : rest.substring(0, slash),
        prefix.endsWith("/") ? prefix.substring(0, prefix.length() - 1) : prefix,
        region,
        endpoint == null ? null : service(endpoint),
        pathStyle);
  }

  private static URI service(String text) {
    URI uri;
    try {
      uri = new URI(text);
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException("the endpoint is no URL");
    }
    String scheme = uri.getScheme();
    if (uri.getHost() == null
        || uri.getUserInfo() != null
        || uri.getQuery() != null
        || uri.getFragment() != null
        || !"http".equals(scheme) && !"https".equals(scheme)) {
      throw new IllegalArgumentException(
          "the endpoint is to be http[s]://HOST[:PORT], without login and query");
    }
    return uri;
  }

  private static boolean isBucket(String name) {
    return name.length() >= 3
        && name.length() <= 255
        && name.chars()
            .allMatch(
                c ->
                    c >= 'a' && c <= 'z'
                        || c >= 'A' && c <= 'Z'
                        || c >= '0' && c <= '9'
                        || c == '-'
                        || c == '.'
                        || c == '_')
        && Character.isLetterOrDigit(name.charAt(0));
  }

  /** The URL, as in {@code s3://bucket/prefix}. */
  public String url() {
    return SCHEME + bucket + (prefix.isEmpty() ? "" : "/" + prefix);
  }

  /** What all keys begin with. */
  String keys() {
    return prefix.isEmpty() ? "" : prefix + "/";
  }
}
