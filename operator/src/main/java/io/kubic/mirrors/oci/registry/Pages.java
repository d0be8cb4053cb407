package io.kubic.mirrors.oci.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import java.io.IOException;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import okhttp3.HttpUrl;

/** Lists that a registry gives in pages: repositories, tags, referrers. */
final class Pages {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int MAX_PAGE_BYTES = 16 << 20;
  private static final int MAX_PAGES = 10_000;
  private static final int MAX_NAMES = 500_000;
  private static final int MAX_MALFORMED = 20;
  private static final int PAGE_SIZE = 1000;

  private final Wire wire;

  Pages(Wire wire) {
    this.wire = wire;
  }

  Listing list(
      String path, String scope, String repository, String field, Predicate<String> valid) {
    String object = repository.isEmpty() ? wire.name() : wire.name() + "/" + repository;
    Set<String> names = new LinkedHashSet<>();
    Set<String> malformed = new LinkedHashSet<>();
    Set<HttpUrl> seen = new HashSet<>();
    Ask first =
        new Ask("GET", path, object)
            .query("n", Integer.toString(PAGE_SIZE))
            .scope(repository, scope);
    Ask plain = new Ask("GET", path, object).scope(repository, scope);
    Ask[] ask = {first};
    while (true) {
      int before = names.size();
      Optional<HttpUrl> next =
          wire.retrying(
              object,
              () -> {
                try (Answer answer = wire.send(ask[0])) {
                  if (answer.status() != 400 || ask[0] != first) {
                    return page(answer, object, field, valid, names, malformed);
                  }
                }
                // Page sizes above the registry's own limit are an error to some: no wish then.
                ask[0] = plain;
                try (Answer answer = wire.send(plain)) {
                  return page(answer, object, field, valid, names, malformed);
                }
              });
      if (names.size() > MAX_NAMES) {
        throw new RegistryException(
            Reason.TooLarge, object, "lists more than " + MAX_NAMES + " " + field);
      }
      if (next.isEmpty()) {
        return new Listing(List.copyOf(names), List.copyOf(malformed));
      }
      if (names.size() == before) {
        throw new RegistryException(
            Reason.MalformedResponse, object, "the list of " + field + " has pages without end");
      }
      advance(seen, next.get(), names.size(), object);
      ask[0] = new Ask("GET", next.get(), object).scope(repository, scope);
    }
  }

  private Optional<HttpUrl> page(
      Answer answer,
      String object,
      String field,
      Predicate<String> valid,
      Set<String> names,
      Set<String> malformed) {
    wire.expect(answer, object, false, 200);
    JsonNode root;
    try {
      root = JSON.readTree(answer.bytes(MAX_PAGE_BYTES, "a page of " + field));
    } catch (IOException e) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the list of " + field + " is no JSON");
    }
    JsonNode list = root == null ? null : root.get(field);
    if (root == null || !root.isObject() || list != null && !list.isArray() && !list.isNull()) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the registry sent no list of " + field);
    }
    if (list != null) {
      for (JsonNode node : list) {
        String text = node.asText("");
        if (node.isTextual() && valid.test(text)) {
          names.add(text);
        } else if (malformed.size() < MAX_MALFORMED) {
          malformed.add(Shown.of(text));
        }
      }
    }
    return next(answer, object);
  }

  static void advance(Set<HttpUrl> seen, HttpUrl next, int names, String object) {
    if (!seen.add(next) || seen.size() > MAX_PAGES || names > MAX_NAMES) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the list has pages without end");
    }
  }

  /** The next page, by {@code Link} (RFC 8288) in any of its forms; of the same origin only. */
  static Optional<HttpUrl> next(Answer answer, String object) {
    for (String header : answer.response().headers("Link")) {
      int at = 0;
      while (at < header.length()) {
        int open = header.indexOf('<', at);
        int close = header.indexOf('>', open + 1);
        if (open < 0 || close < 0) {
          break;
        }
        int end = header.indexOf('<', close);
        String parameters =
            header.substring(close + 1, end < 0 ? header.length() : end).toLowerCase(Locale.ROOT);
        String spaceless = parameters.replace(" ", "").replace("\t", "");
        if (spaceless.contains("rel=\"next\"") || spaceless.contains("rel=next")) {
          HttpUrl next = answer.url().resolve(header.substring(open + 1, close).strip());
          if (next == null || !Wire.sameOrigin(next, answer.url())) {
            throw new RegistryException(
                Reason.MalformedResponse, object, "the next page lies at another host");
          }
          return Optional.of(next);
        }
        at = end < 0 ? header.length() : end;
      }
    }
    return Optional.empty();
  }
}
