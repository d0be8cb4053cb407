package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Takes out of the mirror what a list put there and does not select any more. Deciding is apart
 * from doing; what is doubtful stays.
 *
 * @param candidates what is not selected any more, sorted by place
 * @param due those whose time has come
 * @param kept those whose time has come but that somebody else needs, with the reason
 * @param refusal why nothing is deleted at all; null when nothing speaks against it
 */
record Prune(
    List<Ledger.Entry> candidates,
    List<Ledger.Entry> due,
    List<Kept> kept,
    @Nullable String refusal) {
  // A digest may be the child of an index, or be wanted without a tag: nobody can tell.
  private static final String ONLY_BY_DIGEST =
      "the registry cannot delete a tag without its digest";

  Prune {
    candidates = List.copyOf(candidates);
    due = List.copyOf(due);
    kept = List.copyOf(kept);
  }

  /** Something that stays. */
  record Kept(Ledger.Entry entry, String why) {}

  /**
   * Decides.
   *
   * @param ledger as it is after the run's copying
   * @param others of all other lists that fill the target
   * @param complete whether the selection saw everything and all ledgers could be read
   * @param inUse digests that pods run; empty when nobody knows
   */
  static Prune decide(
      MirrorListSpec.Prune rules,
      Ledger ledger,
      List<Ledger> others,
      boolean complete,
      Optional<Set<Digest>> inUse,
      Instant now) {
    if (rules.mode() == MirrorListSpec.PruneMode.Never) {
      return new Prune(List.of(), List.of(), List.of(), null);
    }
    List<Ledger.Entry> ours =
        ledger.entries().values().stream()
            .filter(Ledger.Entry::isOurs)
            .sorted((a, b) -> a.place().compareTo(b.place()))
            .toList();
    List<Ledger.Entry> candidates = ours.stream().filter(entry -> !entry.isSelected()).toList();
    Duration grace = GoDuration.parse(rules.gracePeriod(), "spec.prune.gracePeriod");
    List<Ledger.Entry> due = new ArrayList<>();
    List<Kept> kept = new ArrayList<>();
    for (Ledger.Entry entry : candidates) {
      Instant since = entry.missingSince();
      if (since == null || now.isBefore(since.plus(grace))) {
        continue;
      }
      Optional<String> owner = selectedBy(entry, others);
      if (owner.isPresent()) {
        kept.add(
            new Kept(
                entry, "the list " + owner.get() + " selects it; " + Ledgers.remedy(owner.get())));
      } else if (rules.protectInUse()
          && inUse.isPresent()
          && entry.digests().stream().anyMatch(inUse.get()::contains)) {
        kept.add(new Kept(entry, "a pod runs it"));
      } else {
        due.add(entry);
      }
    }
    String refusal = null;
    if (!due.isEmpty()) {
      if (!complete) {
        refusal = "not everything could be listed: what is missing may only be out of sight";
      } else if (rules.protectInUse() && inUse.isEmpty()) {
        refusal =
            "it is not known what pods run; give the digests, or set prune.protectInUse: false";
      } else if (due.size() * 100L > (long) rules.maxDeletePercent() * ours.size()) {
        refusal =
            due.size()
                + " of "
                + ours.size()
                + " tags would go, more than prune.maxDeletePercent: "
                + rules.maxDeletePercent()
                + " allows";
      }
    }
    return new Prune(candidates, due, kept, refusal);
  }

  private static Optional<String> selectedBy(Ledger.Entry entry, List<Ledger> others) {
    for (Ledger other : others) {
      if (other.isPinned(entry.repository(), entry.digests())) {
        return Optional.of(other.list());
      }
      for (Ledger.Entry theirs : other.entries().values()) {
        if (theirs.isSelected()
            && theirs.repository().equals(entry.repository())
            && (theirs.tag().equals(entry.tag())
                || theirs.digests().stream().anyMatch(entry.digests()::contains))) {
          return Optional.of(other.list());
        }
      }
    }
    return Optional.empty();
  }

  /** What became of an entry that was due. */
  sealed interface Result {
    record Gone(Ledger.Entry entry, Digest digest) implements Result {}

    /** It is not ours any more: somebody removed or moved it. */
    record Foreign(Ledger.Entry entry) implements Result {}

    record Stays(Ledger.Entry entry, String why) implements Result {}

    record Failed(Ledger.Entry entry, RegistryException why) implements Result {}
  }

  /** Deletes one entry by its tag: what shares its digest stays. */
  static Result delete(ImageStore target, Ledger.Entry entry, Set<Digest> inUse) {
    try {
      Optional<Descriptor> there = target.resolve(entry.repository(), entry.tag());
      if (there.isEmpty() || !entry.digests().contains(there.get().digest())) {
        return new Result.Foreign(entry);
      }
      Digest digest = there.get().digest();
      if (InUse.is(target, entry.repository(), there.get(), inUse)) {
        return new Result.Stays(entry, "a pod runs it");
      }
      Map<Digest, Manifest> manifests = new LinkedHashMap<>();
      collect(target, entry.repository(), digest, manifests);
      boolean deleted;
      try {
        deleted = target.delete(entry.repository(), entry.tag());
      } catch (RegistryException e) {
        if (!cannotDeleteTags(e)) {
          throw e;
        }
        return new Result.Stays(entry, ONLY_BY_DIGEST);
      }
      if (!deleted) {
        // Somebody else was faster, or the registry knows tags only where it is asked for them.
        return target.resolve(entry.repository(), entry.tag()).isPresent()
            ? new Result.Stays(entry, ONLY_BY_DIGEST)
            : new Result.Foreign(entry);
      }
      if (target.resolve(entry.repository(), digest.toString()).isEmpty()) {
        bringBack(target, entry.repository(), manifests);
      }
      return new Result.Gone(entry, digest);
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return new Result.Failed(entry, e);
    }
  }

  /**
   * Reads a manifest and what it lists, as far as it is there; children come before their parents.
   */
  private static void collect(
      ImageStore target, String repository, Digest digest, Map<Digest, Manifest> manifests) {
    Manifest manifest = target.findManifest(repository, digest.toString()).orElse(null);
    if (manifest == null) {
      return;
    }
    for (Descriptor child : manifest.children()) {
      if (child.isManifest()
          && !manifests.containsKey(child.digest())
          && manifests.size() < Closure.MAX_MANIFESTS) {
        collect(target, repository, child.digest(), manifests);
      }
    }
    manifests.put(digest, manifest);
  }

  /**
   * Some registries, as zot, let a manifest go with the last tag that names it, though it is the
   * child of an index, or wanted without a tag; nobody can tell. Where nothing needs it, their
   * garbage collection takes it.
   */
  private static void bringBack(
      ImageStore target, String repository, Map<Digest, Manifest> manifests) {
    for (Manifest manifest : manifests.values()) {
      if (target.resolve(repository, manifest.digest().toString()).isPresent()) {
        continue;
      }
      try {
        target.putManifest(repository, manifest, null);
      } catch (RegistryException e) {
        throw new RegistryException(
            e.reason(),
            target.name() + "/" + repository + "@" + manifest.digest(),
            "went with its tag, and cannot be brought back: " + e.problem(),
            e);
      }
    }
  }

  private static boolean cannotDeleteTags(RegistryException e) {
    return switch (e.reason()) {
      case TargetRejected, MalformedResponse, UnsupportedMediaType -> true;
      default -> false;
    };
  }
}
