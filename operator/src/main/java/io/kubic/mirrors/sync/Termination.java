package io.kubic.mirrors.sync;

import static java.util.stream.Collectors.toSet;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.oci.Reason;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a run leaves behind in its pod's termination message: one JSON object of at most 4096 bytes
 * (Kubernetes cuts what is longer), written on every ending. It tells counts and the first
 * failures, so whoever asks whether something failed for a reason asks the counts; the whole report
 * is in the mirror.
 *
 * @param hash of the plan
 * @param complete whether everything that should be listed could be listed
 * @param error why there was no run at all
 * @param bundle that was written or taken
 * @param reasons how many failed for which reason, of all failures, by the reason's name
 * @param lockRef what spec.lock.image may name to have exactly these digests again
 * @param parts of a run in several pods, in their order
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record Termination(
    @Nullable String hash,
    @Nullable Planned plan,
    @Nullable Summary summary,
    boolean complete,
    List<Failure> failures,
    List<Source> sources,
    @Nullable String reportRef,
    @Nullable Failed error,
    @Nullable Bundle bundle,
    Map<String, Integer> reasons,
    @Nullable String lockRef,
    List<Part> parts) {
  /** The most that Kubernetes keeps. */
  public static final int MAX_BYTES = 4096;

  /** Why a plan was not carried out that somebody has to approve. */
  public static final String AWAITING_APPROVAL = "AwaitingApproval";

  private static final int MAX_FAILURES = 20;

  /** So many failures are worth more to a person than the sources. */
  private static final int FEW_FAILURES = 5;

  private static final JsonMapper JSON =
      JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();

  public Termination {
    failures = failures == null ? List.of() : List.copyOf(failures);
    sources = sources == null ? List.of() : List.copyOf(sources);
    reasons = reasons == null ? Map.of() : Collections.unmodifiableMap(new TreeMap<>(reasons));
    parts = parts == null ? List.of() : List.copyOf(parts);
  }

  /** A run without a bundle and without a lock, whose failures are all told. */
  public Termination(
      @Nullable String hash,
      @Nullable Planned plan,
      @Nullable Summary summary,
      boolean complete,
      List<Failure> failures,
      List<Source> sources,
      @Nullable String reportRef,
      @Nullable Failed error) {
    this(
        hash,
        plan,
        summary,
        complete,
        failures,
        sources,
        reportRef,
        error,
        null,
        counted(failures),
        null,
        List.of());
  }

  private static Map<String, Integer> counted(List<Failure> failures) {
    Map<String, Integer> counts = new TreeMap<>();
    failures.forEach(failure -> counts.merge(failure.reason(), 1, Integer::sum));
    return counts;
  }

  /** The same with a bundle, and what it has of which registry. */
  public Termination with(@Nullable Bundle written, List<Source> of) {
    return new Termination(
        hash, plan, summary, complete, failures, of, reportRef, error, written, reasons, lockRef,
        parts);
  }

  /** The same with a lock. */
  public Termination withLock(@Nullable String lock) {
    return new Termination(
        hash, plan, summary, complete, failures, sources, reportRef, error, bundle, reasons, lock,
        parts);
  }

  /**
   * The same with what registries told of their limits.
   *
   * @param quotas by the registry's name
   */
  public Termination withQuotas(Function<String, Optional<Quota>> quotas) {
    return with(
        bundle,
        sources.stream()
            .map(
                source ->
                    new Source(
                        source.registry(),
                        source.name(),
                        source.repositories(),
                        source.tags(),
                        source.selected(),
                        quotas.apply(source.registry()).orElse(source.rateLimit())))
            .toList());
  }

  /** A bundle; status.bundle says what the fields mean. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Bundle(
      String id,
      long sequence,
      @Nullable String base,
      long bytes,
      int images,
      int volumes,
      String sha256,
      boolean signed,
      @Nullable String ref) {}

  /** A run that ended before it began. */
  public static Termination of(String reason, String message) {
    return new Termination(
        null, null, null, false, List.of(), List.of(), null, new Failed(reason, message));
  }

  /** The same of a run that then did nothing, for a reason. */
  public Termination failed(String reason, String message) {
    return new Termination(
        hash, plan, null, complete, failures, sources, reportRef, new Failed(reason, message));
  }

  /** Whether the run ended because its plan has to be approved. */
  public boolean isAwaitingApproval() {
    return error != null && error.reason().equals(AWAITING_APPROVAL);
  }

  /** What was planned. */
  public record Planned(
      int repositories, int images, long bytes, long bytesToTransfer, int pruneCandidates) {}

  /**
   * What was done.
   *
   * @param allPlatforms images of which all platforms were copied though fewer are wanted, since
   *     the target takes no sparse index; absent for none
   */
  public record Summary(
      int copied,
      int skipped,
      int failed,
      int drifted,
      int pruned,
      int referrers,
      long bytes,
      long requests,
      @JsonInclude(JsonInclude.Include.NON_DEFAULT) int allPlatforms) {
    /** One in which every image has the platforms that are wanted. */
    public Summary(
        int copied,
        int skipped,
        int failed,
        int drifted,
        int pruned,
        int referrers,
        long bytes,
        long requests) {
      this(copied, skipped, failed, drifted, pruned, referrers, bytes, requests, 0);
    }

    /** What a person is told of images with more platforms than are wanted; empty for none. */
    public Optional<String> sparseRefused() {
      return allPlatforms == 0
          ? Optional.empty()
          : Optional.of(
              allPlatforms + " with all platforms, since the target takes no sparse index");
    }
  }

  /** One image that failed. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Failure(String image, String reason, @Nullable String message, int attempts) {}

  /** What one source offered, and what its registry told of its limits. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Source(
      String registry,
      String name,
      int repositories,
      int tags,
      int selected,
      @Nullable Quota rateLimit) {
    /** A source whose registry told of no limits. */
    public Source(String registry, String name, int repositories, int tags, int selected) {
      this(registry, name, repositories, tags, selected, null);
    }

    private List<String> key() {
      return List.of(registry, name);
    }
  }

  /**
   * What one of several pods did.
   *
   * @param reportRef null when it left none
   * @param error null when there was a run
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Part(
      int index,
      int done,
      int total,
      int failed,
      @Nullable String reportRef,
      @Nullable String error) {}

  /** Why there was no run. */
  public record Failed(String reason, String message) {}

  /**
   * What the parts of one run told, as if it had been one. A source that one of them had no room
   * for is left out, since nobody knows its sums.
   *
   * @param parts in their order; empty for one that left nothing: then the whole is not successful
   */
  public static Termination merged(List<Optional<Termination>> parts) {
    List<Failure> failures = new ArrayList<>();
    Map<List<String>, Source> sources = new LinkedHashMap<>();
    List<Termination> ran = new ArrayList<>();
    Planned plan = new Planned(0, 0, 0, 0, 0);
    Summary sum = new Summary(0, 0, 0, 0, 0, 0, 0, 0);
    StringBuilder hashes = new StringBuilder();
    Map<String, Integer> reasons = new TreeMap<>();
    List<Part> told = new ArrayList<>();
    boolean complete = true;
    for (int i = 0; i < parts.size(); i++) {
      Termination part =
          parts.get(i).orElse(of(Reason.Internal.name(), "it left no report; see its pod's log"));
      complete &= part.complete();
      part.reasons().forEach((reason, count) -> reasons.merge(reason, count, Integer::sum));
      told.add(
          new Part(
              i,
              part.done(),
              part.total(),
              part.summary() == null ? 0 : part.summary().failed(),
              part.reportRef(),
              part.error() == null ? null : part.error().reason()));
      hashes.append(part.hash()).append('\n');
      failures.addAll(part.failures());
      Failed error = part.error();
      if (error != null) {
        String name = "part " + i + " of " + parts.size();
        failures.add(new Failure(name, error.reason(), error.message(), 1));
        reasons.merge(error.reason(), 1, Integer::sum);
        sum = plus(sum, new Summary(0, 0, 1, 0, 0, 0, 0, 0));
      }
      if (part.plan() != null) {
        plan = plus(plan, part.plan());
      }
      if (part.summary() != null) {
        sum = plus(sum, part.summary());
        ran.add(part);
      }
      part.sources().forEach(source -> sources.merge(source.key(), source, Termination::plus));
    }
    for (Termination part : ran) {
      Set<List<String>> known = part.sources().stream().map(Source::key).collect(toSet());
      sources.keySet().removeIf(source -> !known.contains(source));
    }
    return new Termination(
        Digest.of(hashes.toString().getBytes(StandardCharsets.UTF_8)).hex(),
        plan,
        sum,
        complete,
        failures,
        List.copyOf(sources.values()),
        first(parts, Termination::reportRef),
        null,
        null,
        reasons,
        first(parts, Termination::lockRef),
        told);
  }

  private static @Nullable String first(
      List<Optional<Termination>> parts, Function<Termination, @Nullable String> what) {
    for (Optional<Termination> part : parts) {
      String value = part.map(what).orElse(null);
      if (value != null) {
        return value;
      }
    }
    return null;
  }

  private static Planned plus(Planned a, Planned b) {
    return new Planned(
        a.repositories() + b.repositories(),
        a.images() + b.images(),
        a.bytes() + b.bytes(),
        a.bytesToTransfer() + b.bytesToTransfer(),
        a.pruneCandidates() + b.pruneCandidates());
  }

  private static Summary plus(Summary a, Summary b) {
    return new Summary(
        a.copied() + b.copied(),
        a.skipped() + b.skipped(),
        a.failed() + b.failed(),
        a.drifted() + b.drifted(),
        a.pruned() + b.pruned(),
        a.referrers() + b.referrers(),
        a.bytes() + b.bytes(),
        a.requests() + b.requests(),
        a.allPlatforms() + b.allPlatforms());
  }

  /** Every part sees all repositories, but lists only the tags of its own. */
  private static Source plus(Source a, Source b) {
    return new Source(
        a.registry(),
        a.name(),
        Math.max(a.repositories(), b.repositories()),
        a.tags() + b.tags(),
        a.selected() + b.selected(),
        Quota.merged(a.rateLimit(), b.rateLimit()));
  }

  /** Whether all was listed and every image is as it should be. */
  public boolean successful() {
    return error == null && complete && summary != null && summary.failed() == 0;
  }

  /** Images that are in the mirror now. */
  public int done() {
    return summary == null ? 0 : summary.copied() + summary.skipped();
  }

  /** Images that were selected. */
  public int total() {
    return plan == null ? done() : plan.images();
  }

  /** Whether there was no run, or something failed in it, for this reason. */
  public boolean failedFor(String reason) {
    return reasons.containsKey(reason) || error != null && error.reason().equals(reason);
  }

  /**
   * The reason a person should hear first: why there was no run, or the most frequent one, of
   * equally frequent ones the first by name. What was cancelled was so because of something else.
   */
  public String leadingReason() {
    if (error != null) {
      return error.reason();
    }
    return reasons.entrySet().stream()
        .max(
            Comparator.<Map.Entry<String, Integer>, Boolean>comparing(
                    entry -> !entry.getKey().equals(Reason.Cancelled.name()))
                .thenComparing(Map.Entry::getValue))
        .map(Map.Entry::getKey)
        .orElse(Reason.Internal.name());
  }

  /**
   * At most {@link #MAX_BYTES} of JSON. Until it fits, these are left out from their ends: failures
   * but the first few, then sources, then those few, then the text of the error.
   */
  public byte[] toJson() {
    int failed = Math.min(MAX_FAILURES, failures.size());
    int offered = sources.size();
    while (true) {
      byte[] json =
          bytes(
              withFailures(failures.subList(0, failed)).with(bundle, sources.subList(0, offered)));
      if (json.length <= MAX_BYTES || failed + offered == 0 && !hasLongError()) {
        return json;
      }
      if (failed + offered == 0) {
        return withFailures(List.of()).with(bundle, List.of()).shorter().toJson();
      }
      if (failed > FEW_FAILURES || offered == 0) {
        failed--;
      } else {
        offered--;
      }
    }
  }

  private boolean hasLongError() {
    return error != null && error.message().length() >= 16;
  }

  /** The same with less of an error's text. */
  private Termination shorter() {
    Failed whole = Objects.requireNonNull(error);
    int end = whole.message().length() * 3 / 4;
    if (end > 0 && Character.isHighSurrogate(whole.message().charAt(end - 1))) {
      end--;
    }
    Failed cut = new Failed(whole.reason(), whole.message().substring(0, end) + "...");
    return new Termination(
        hash, plan, summary, complete, failures, sources, reportRef, cut, bundle, reasons, lockRef,
        parts);
  }

  /** Reads what {@link #toJson} wrote; empty when it is anything else. */
  public static Optional<Termination> parse(String text) {
    try {
      return Optional.ofNullable(JSON.readValue(text, Termination.class));
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
  }

  private Termination withFailures(List<Failure> some) {
    return new Termination(
        hash, plan, summary, complete, some, sources, reportRef, error, bundle, reasons, lockRef,
        parts);
  }

  private static byte[] bytes(Termination termination) {
    try {
      return JSON.writeValueAsString(termination).getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
