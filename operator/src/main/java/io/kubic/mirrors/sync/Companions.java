package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/**
 * Signatures, attestations, bills of material and whatever else is attached to an image at its
 * source: by the referrers API, by that API's fallback tag where there is none, and by cosign's
 * tags. Safe for threads.
 */
final class Companions {
  private static final List<String> COSIGN = List.of(".sig", ".att", ".sbom");

  private final Function<MirrorListSpec.Source, ? extends ImageSource> sources;
  private final Map<Repository, Set<String>> tags = new ConcurrentHashMap<>();
  private final Map<Repository, Map<Digest, List<Descriptor>>> asked = new ConcurrentHashMap<>();

  /** Sources, by registry and name, that were found to have no referrers API. */
  private final Set<List<String>> without = ConcurrentHashMap.newKeySet();

  private final Set<Selection.Problem> problems = ConcurrentHashMap.newKeySet();

  /**
   * Something attached.
   *
   * @param subject what the referrers API attached it to
   */
  record Companion(SelectedImage image, Optional<Digest> subject) {}

  Companions(Function<MirrorListSpec.Source, ? extends ImageSource> sources) {
    this.sources = sources;
  }

  /** What could not be looked for. */
  Set<Selection.Problem> problems() {
    return Set.copyOf(problems);
  }

  /** A repository was listed anyway: it need not be listed again. */
  void listed(Repository repository, Listing listing) {
    Set<String> some = new HashSet<>();
    for (String tag : listing.names()) {
      if (tag.startsWith("sha256-") || tag.startsWith("sha512-")) {
        some.add(tag);
      }
    }
    tags.put(repository, Set.copyOf(some));
  }

  /** Whether anything of the repository could be attached to something. */
  boolean arePossible(MirrorListSpec.Source source, Repository repository, Digest subject) {
    return source.includeReferrers()
        && (!referrers(source, repository, subject).isEmpty()
            || !without.contains(key(source))
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
      }
    }
    Set<String> there = tags(source, repository);
    List<String> wanted = new ArrayList<>(COSIGN);
    if (without.contains(key(source))) {
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
    Map<Digest, List<Descriptor>> known =
        asked.computeIfAbsent(repository, any -> new ConcurrentHashMap<>());
    List<Descriptor> answer = known.get(subject);
    if (answer == null) {
      answer = ask(source, repository, subject);
      known.put(subject, answer);
    }
    return answer;
  }

  private List<Descriptor> ask(
      MirrorListSpec.Source source, Repository repository, Digest subject) {
    if (without.contains(key(source))) {
      return List.of();
    }
    try {
      Optional<List<Descriptor>> told = sources.apply(source).referrers(repository.path(), subject);
      if (told.isEmpty()) {
        without.add(key(source));
      }
      return told.orElse(List.of());
    } catch (RegistryException e) {
      tell(repository, e);
      return List.of();
    }
  }

  /** One listing per repository tells all the tags there are, whatever is selected. */
  private Set<String> tags(MirrorListSpec.Source source, Repository repository) {
    Set<String> known = tags.get(repository);
    if (known != null) {
      return known;
    }
    try {
      listed(repository, sources.apply(source).tags(repository.path()));
    } catch (RegistryException e) {
      tell(repository, e);
      tags.put(repository, Set.of());
    }
    return tags.getOrDefault(repository, Set.of());
  }

  /** Signatures of what is copied cannot be found; the images themselves are not affected. */
  private void tell(Repository repository, RegistryException e) {
    if (e.reason() == Reason.Cancelled) {
      throw e;
    }
    problems.add(
        new Selection.Problem(
            repository.toString(),
            e.reason(),
            "signatures and attestations cannot be looked for: "
                + e.problem()
                + "; set includeReferrers: false if there are none"));
  }

  private static List<String> key(MirrorListSpec.Source source) {
    return List.of(source.registry(), source.name());
  }
}
