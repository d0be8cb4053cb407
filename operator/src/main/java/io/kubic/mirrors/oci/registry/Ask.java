package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.MediaTypes;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import okhttp3.HttpUrl;
import okhttp3.RequestBody;
import org.jspecify.annotations.Nullable;

/** A request to be sent, perhaps more than once. */
final class Ask {
  final String method;
  final @Nullable String path;
  final @Nullable HttpUrl url;
  final String object;
  final Map<String, String> headers = new TreeMap<>();
  final Map<String, String> query = new TreeMap<>();
  final Set<String> scopes = new LinkedHashSet<>();
  private static final String ACCEPTED = String.join(", ", MediaTypes.ACCEPTED);

  String repository = "";
  @Nullable RequestBody body;
  boolean bulk;
  boolean anonymous;

  Ask(String method, String path, String object) {
    this.method = method;
    this.path = path;
    this.url = null;
    this.object = object;
  }

  Ask(String method, HttpUrl url, String object) {
    this.method = method;
    this.path = null;
    this.url = url;
    this.object = object;
  }

  Ask query(String name, String value) {
    query.put(name, value);
    return this;
  }

  Ask header(String name, String value) {
    headers.put(name, value);
    return this;
  }

  Ask accept() {
    return header("Accept", ACCEPTED);
  }

  Ask scope(String ofRepository, String scope) {
    repository = ofRepository;
    scopes.add(scope);
    return this;
  }

  Ask body(RequestBody value) {
    body = value;
    return this;
  }

  Ask bulk() {
    bulk = true;
    return this;
  }

  /** A 401 is an answer, too. */
  Ask anonymousIsFine() {
    anonymous = true;
    return this;
  }

  HttpUrl at(HttpUrl base) {
    if (url != null) {
      return url;
    }
    HttpUrl.Builder builder = base.newBuilder().addPathSegments(String.valueOf(path));
    query.forEach(builder::addQueryParameter);
    return builder.build();
  }
}
