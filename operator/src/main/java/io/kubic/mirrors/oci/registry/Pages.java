package io.kubic.mirrors.oci.registry;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
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
  private static final JsonFactory JSON =
      JsonFactory.builder()
          // Names are never used as keys; a table of them would only grow.
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(64).maxStringLength(64 << 10).build())
          .build();
  private static final int MAX_PAGE_BYTES = 16 << 20;
  private static final int MAX_PAGES = 10_000;
  private static final int MAX_NAMES = 500_000;
  private static final int MAX_MALFORMED = 20;
  private static final int MAX_IDLE_PAGES = 20;
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
    int idle = 0;
    Instant deadline = wire.transport().clock().instant().plus(deadlineOfAll());
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
      if (next.isEmpty()) {
        return new Listing(List.copyOf(names), List.copyOf(malformed));
      }
      // Registries that filter by permission send empty pages, but not for ever.
      idle = names.size() == before ? idle + 1 : 0;
      if (idle > MAX_IDLE_PAGES) {
        throw new RegistryException(
            Reason.MalformedResponse, object, "the list of " + field + " has pages without end");
      }
      if (wire.transport().clock().instant().isAfter(deadline)) {
        throw new RegistryException(
                Reason.Timeout, object, "the list of " + field + " takes too long")
            .asFinal();
      }
      advance(seen, next.get(), names.size(), object);
      ask[0] = new Ask("GET", next.get(), object).scope(repository, scope);
    }
  }

  /** For all pages of a list together. */
  private Duration deadlineOfAll() {
    return wire.connection().limits().timeout().multipliedBy(60);
  }

  private Optional<HttpUrl> page(
      Answer answer,
      String object,
      String field,
      Predicate<String> valid,
      Set<String> names,
      Set<String> malformed) {
    wire.expect(answer, object, false, 200);
    boolean found = false;
    // Read as it comes: a page may be large, and only its names are kept.
    try (JsonParser json = JSON.createParser(answer.stream(MAX_PAGE_BYTES, "a page of " + field))) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        throw noList(field, object);
      }
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        boolean wanted = json.currentName().equals(field);
        JsonToken value = json.nextToken();
        if (!wanted) {
          json.skipChildren();
          continue;
        }
        found = true;
        // Some registries say null for none.
        if (value != JsonToken.VALUE_NULL && value != JsonToken.START_ARRAY) {
          throw noList(field, object);
        }
        while (value == JsonToken.START_ARRAY && json.nextToken() != JsonToken.END_ARRAY) {
          name(json, field, object, valid, names, malformed);
        }
      }
      if (json.nextToken() != null) {
        throw noList(field, object);
      }
    } catch (JsonProcessingException e) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the list of " + field + " is no JSON");
    } catch (IOException e) {
      throw answer.broken(e);
    }
    if (!found) {
      throw noList(field, object);
    }
    return next(answer, object);
  }

  private static void name(
      JsonParser json,
      String field,
      String object,
      Predicate<String> valid,
      Set<String> names,
      Set<String> malformed)
      throws IOException {
    boolean text = json.currentToken() == JsonToken.VALUE_STRING;
    String name = text ? json.getText() : "";
    if (text && valid.test(name)) {
      names.add(name);
      if (names.size() > MAX_NAMES) {
        throw new RegistryException(
            Reason.TooLarge, object, "lists more than " + MAX_NAMES + " " + field);
      }
    } else if (malformed.size() < MAX_MALFORMED) {
      malformed.add(Shown.of(name));
    }
    json.skipChildren();
  }

  private static RegistryException noList(String field, String object) {
    return new RegistryException(
        Reason.MalformedResponse, object, "the registry sent no list of " + field);
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
          if (isNext(header.substring(at))) {
            throw new RegistryException(
                Reason.MalformedResponse, object, "the next page is not said where it lies");
          }
          break;
        }
        int end = header.indexOf('<', close);
        if (isNext(header.substring(close + 1, end < 0 ? header.length() : end))) {
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

  /** Whether the parameters of a link say so, perhaps among other relations. */
  private static boolean isNext(String parameters) {
    String text = parameters.toLowerCase(Locale.ROOT).replace('\t', ' ');
    for (int at = text.indexOf("rel"); at >= 0; at = text.indexOf("rel", at + 1)) {
      int equals = past(' ', text, at + 3);
      if (equals == text.length() || text.charAt(equals) != '=') {
        continue;
      }
      int start = past(' ', text, equals + 1);
      boolean quoted = start < text.length() && text.charAt(start) == '"';
      start += quoted ? 1 : 0;
      int end = start;
      while (end < text.length() && (quoted ? "\"" : " ;,").indexOf(text.charAt(end)) < 0) {
        end++;
      }
      if ((" " + text.substring(start, end) + " ").contains(" next ")) {
        return true;
      }
      at = Math.max(at, end - 1);
    }
    return false;
  }

  private static int past(char c, String text, int from) {
    int at = from;
    while (at < text.length() && text.charAt(at) == c) {
      at++;
    }
    return at;
  }
}
