package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Signatures, attestations, bills of material and whatever else is attached to an image at its
 * source: by the referrers API, by that API's fallback tag where there is none, and by cosign's
 * tags. Safe for threads.
 */
final class Companions {
  private static final List<String> COSIGN = List.of(".sig", ".att", ".sbom");

  private final Function<MirrorListSpec.Source, ? extends ImageSource> sources;
  private final boolean byApi;
  private final Consumer<Selection.Problem> told;
  private final Map<Repository, Set<String>> tags = new ConcurrentHashMap<>();
  private final Map<Repository, Map<Digest, List<Descriptor>>> asked = new ConcurrentHashMap<>();

  /** Whether sources, by registry and name, were found to have the referrers API. */
  private final Map<List<String>, Boolean> api = new ConcurrentHashMap<>();

  /** Sources that were asked for referrers once, whatever came of it. */
  private final Set<List<String>> tried = ConcurrentHashMap.newKeySet();

  /** Held while something is asked for, so that it is asked once and not by all. */
  private final Map<Object, ReentrantLock> asking = new ConcurrentHashMap<>();

  /** Repositories whose tags could not be listed. */
  private final Map<Repository, RegistryException> unlisted = new ConcurrentHashMap<>();

  /** Repositories of which a question for referrers had no answer. */
  private final Map<Repository, RegistryException> unanswered = new ConcurrentHashMap<>();

  /**
   * Something attached.
   *
   * @param subject what the referrers API attached it to
   */
  record Companion(SelectedImage image, Optional<Digest> subject) {}

  /**
   * @param byApi whether the referrers API is asked, which costs a request for each manifest; if
   *     not, only what has a tag is found
   * @param told of what is attached and cannot be copied; by several threads
   */
  Companions(
      Function<MirrorListSpec.Source, ? extends ImageSource> sources,
      boolean byApi,
      Consumer<Selection.Problem> told) {
    this.sources = sources;
    this.byApi = byApi;
    this.told = told;
  }

  /** Why not everything attached to images of a repository is known; empty where it is. */
  Optional<RegistryException> failure(Repository repository) {
    return Stream.of(unlisted, unanswered)
        .flatMap(kind -> Stream.ofNullable(kind.get(repository)))
        .reduce(Companions::worse);
  }

  /** The one that is tried again. */
  private static RegistryException worse(RegistryException one, RegistryException other) {
    return one.reason().isTransient() ? one : other;
  }

  /** What could not be looked for may be by now. */
  void lookAgain() {
    unlisted.values().removeIf(e -> e.reason().isTransient());
    unanswered.values().removeIf(e -> e.reason().isTransient());
  }

  /** Whether a tag is one that attaches something to a digest. */
  static boolean isTag(String tag) {
    return tag.startsWith("sha256-") || tag.startsWith("sha512-");
  }

  /** A repository was listed anyway: it need not be listed again. */
  void listed(Repository repository, Collection<String> names) {
    Set<String> some = new HashSet<>();
    for (String tag : names) {
      if (isTag(tag)) {
        some.add(tag);
      }
    }
    tags.put(repository, Set.copyOf(some));
  }

  /** Whether anything of the repository could be attached to something. */
  boolean arePossible(MirrorListSpec.Source source, Repository repository, Digest subject) {
    return source.includeReferrers()
        && (!referrers(source, repository, subject).isEmpty()
            || hasApi(source)
            || !tags(source, repository).isEmpty());
  }

  /** Everything attached to one subject. */
  List<Companion> of(MirrorListSpec.Source source, Repository repository, Digest subject) {
    List<Companion> all = new ArrayList<>();
    if (!source.includeReferrers()) {
      return all;
    }
    for (Descriptor referrer : referrers(source, repository, subject)) {
      if (referrer.isManifest()) {
        all.add(
            new Companion(
                new SelectedImage(source.name(), repository, null, referrer.digest()),
                Optional.of(subject)));
      } else {
        told.accept(
            new Selection.Problem(
                repository + "@" + referrer.digest(),
                Reason.UnsupportedMediaType,
                "is attached to "
                    + subject
                    + " and not copied, since it is of type "
                    + Shown.of(referrer.mediaType())));
      }
    }
    Set<String> there = tags(source, repository);
    List<String> wanted = new ArrayList<>(COSIGN);
    if (!hasApi(source)) {
      wanted.add("");
    }
    for (String suffix : wanted) {
      String tag = Attachments.tag(subject) + suffix;
      if (there.contains(tag)) {
        all.add(
            new Companion(
                new SelectedImage(source.name(), repository, tag, null), Optional.empty()));
      }
    }
    return all;
  }

  private List<Descriptor> referrers(
      MirrorListSpec.Source source, Repository repository, Digest subject) {
    if (!hasApi(source)) {
      return List.of();
    }
    Map<Digest, List<Descriptor>> known =
        asked.computeIfAbsent(repository, any -> new ConcurrentHashMap<>());
    List<Descriptor> answer = known.get(subject);
    if (answer != null) {
      return answer;
    }
    return alone(
        List.of(repository, subject),
        () -> {
          List<Descriptor> meanwhile = known.get(subject);
          if (meanwhile != null || isUnreachable(repository)) {
            return meanwhile == null ? List.<Descriptor>of() : meanwhile;
          }
          List<Descriptor> fresh = ask(source, repository, subject);
          if (!isUnreachable(repository)) {
            known.put(subject, fresh);
          }
          return fresh;
        });
  }

  /** Asks while nobody else asks the same; the question looks first whether it was answered. */
  private <T> T alone(Object what, Supplier<T> question) {
    ReentrantLock lock = asking.computeIfAbsent(what, any -> new ReentrantLock());
    lock.lock();
    try {
      return question.get();
    } finally {
      asking.remove(what, lock);
      lock.unlock();
    }
  }

  /** Whether it is too early for another question. */
  private boolean isUnreachable(Repository repository) {
    RegistryException e = unanswered.get(repository);
    return e != null && e.reason().isTransient();
  }

  private boolean hasApi(MirrorListSpec.Source source) {
    return byApi && !Boolean.FALSE.equals(api.get(key(source)));
  }

  /** Asks; the first question to a source alone, since it tells whether there is an API. */
  private List<Descriptor> ask(
      MirrorListSpec.Source source, Repository repository, Digest subject) {
    List<String> key = key(source);
    if (!tried.contains(key)) {
      Optional<List<Descriptor>> first =
          alone(
              key,
              () ->
                  tried.contains(key)
                      ? Optional.empty()
                      : Optional.of(first(source, repository, subject)));
      if (first.isPresent()) {
        return first.get();
      }
    }
    // Whoever had to wait here may know by now.
    return hasApi(source) ? question(source, repository, subject) : List.of();
  }

  private List<Descriptor> first(
      MirrorListSpec.Source source, Repository repository, Digest subject) {
    try {
      return question(source, repository, subject);
    } finally {
      tried.add(key(source));
    }
  }

  private List<Descriptor> question(
      MirrorListSpec.Source source, Repository repository, Digest subject) {
    try {
      Optional<List<Descriptor>> told = sources.apply(source).referrers(repository.path(), subject);
      // One odd answer does not take away what others showed.
      api.merge(key(source), told.isPresent(), Boolean::logicalOr);
      return told.orElse(List.of());
    } catch (RegistryException e) {
      fail(unanswered, repository, e);
      return List.of();
    }
  }

  /** One listing per repository tells all the tags there are, whatever is selected. */
  private Set<String> tags(MirrorListSpec.Source source, Repository repository) {
    Set<String> known = tags.get(repository);
    if (known != null) {
      return known;
    }
    return alone(
        repository,
        () -> {
          if (!tags.containsKey(repository) && !unlisted.containsKey(repository)) {
            try {
              listed(repository, sources.apply(source).tags(repository.path()).names());
            } catch (RegistryException e) {
              fail(unlisted, repository, e);
            }
          }
          return tags.getOrDefault(repository, Set.of());
        });
  }

  /** A search ended by a defect. */
  void gaveUp(Repository repository, RegistryException e) {
    fail(unanswered, repository, e);
  }

  private static void fail(
      Map<Repository, RegistryException> kind, Repository repository, RegistryException e) {
    if (e.reason() == Reason.Cancelled) {
      throw e;
    }
    kind.merge(repository, e, Companions::worse);
  }

  private static List<String> key(MirrorListSpec.Source source) {
    return List.of(source.registry(), source.name());
  }
}
