package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a user wants mirrored. */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
@ValidationRule(
    value = "!(has(self.schedule) && has(self.interval))",
    message = "schedule and interval exclude each other")
@ValidationRule(
    value = "!has(self.timeZone) || has(self.schedule)",
    message = "timeZone belongs to schedule")
@ValidationRule(
    value = "has(self.registryRef) || has(self.export)",
    message = "registryRef names the MirrorRegistry that this list fills")
@ValidationRule(
    value = "has(self.sources) != has(self.__import__)",
    message = "spec.sources: name registries, or import a bundle; one of both")
@ValidationRule(
    value = "!has(self.export) || !has(self.__import__)",
    message = "export and import exclude each other")
public record MirrorListSpec(
    @JsonPropertyDescription("The MirrorRegistry of this namespace that is filled.")
        @Nullable LocalRef registryRef,
    @JsonPropertyDescription("Five-field cron; excludes interval.")
        @Pattern(Api.CRON)
        @Size(max = 64)
        @Nullable String schedule,
    @JsonPropertyDescription("Zone of the schedule, as in Europe/Berlin; default UTC.")
        @Size(max = 64)
        @Nullable String timeZone,
    @JsonPropertyDescription("Time between runs, with a stable jitter; 0s: on demand; default 24h.")
        @Pattern(Api.DURATION)
        @Size(max = 32)
        @Nullable String interval,
    @JsonPropertyDescription("Registries and what is wanted of them.") @Size(min = 1, max = 64)
        List<Source> sources,
    @JsonPropertyDescription("RE2 patterns over host/repo:tag that are never copied; applied last.")
        @Size(max = 256)
        List<@Size(max = 1024) String> blockedImages,
    @JsonPropertyDescription("Scoped: <target>/<source host>/<repo>. Flat: <target>/<repo>.")
        @Default("Scoped")
        Layout layout,
    @JsonPropertyDescription("Immutable: a tag that moved at the source is reported, not copied.")
        @Default("Follow")
        TagPolicy tagPolicy,
    @JsonPropertyDescription("Where the target refuses a sparse index: all platforms, or fail.")
        @Default("Preserve")
        IndexPolicy indexPolicy,
    @JsonPropertyDescription(
            "Ledger: what this list noted of a tag is believed while the target still lists the"
                + " tag; Target asks for each.")
        @Default("Target")
        Compare compare,
    @JsonPropertyDescription("What becomes of images that are not selected any more.") Prune prune,
    @JsonPropertyDescription("Abort stops at the first image that fails.") @Default("Continue")
        FailurePolicy failurePolicy,
    Retry retry,
    Concurrency concurrency,
    @JsonPropertyDescription("Stops a selection that explodes before the first byte.") Guard guard,
    @JsonPropertyDescription(
            "Manual: a plan waits until the annotation mirrors.kubic.io/approve names its hash.")
        @Default("Automatic")
        Approval approval,
    @JsonPropertyDescription("Copies exactly the digests of a plan or report, whatever tags say.")
        @Nullable Lock lock,
    @JsonProperty("export")
        @JsonPropertyDescription("Write a bundle that is carried elsewhere, not a registry.")
        @Nullable BundleExport exportTo,
    @JsonProperty("import")
        @JsonPropertyDescription("Take the images from a bundle; excludes sources.")
        @Nullable BundleImport importFrom,
    @JsonPropertyDescription("Additions to the sync Jobs.") JobTemplate jobTemplate,
    @JsonPropertyDescription("Plan and report only.") @Default("false") Boolean dryRun,
    @JsonPropertyDescription("No new runs; a running one is finished.") @Default("false")
        Boolean suspend,
    @JsonPropertyDescription("Finished Jobs, and runs in status.history, that are kept.")
        @Default("5")
        @Min(1)
        @Max(50)
        Integer historyLimit) {

  public MirrorListSpec {
    sources = sources == null ? List.of() : List.copyOf(sources);
    blockedImages = blockedImages == null ? List.of() : List.copyOf(blockedImages);
    layout = layout == null ? Layout.Scoped : layout;
    tagPolicy = tagPolicy == null ? TagPolicy.Follow : tagPolicy;
    indexPolicy = indexPolicy == null ? IndexPolicy.Preserve : indexPolicy;
    compare = compare == null ? Compare.Target : compare;
    failurePolicy = failurePolicy == null ? FailurePolicy.Continue : failurePolicy;
    prune = prune == null ? new Prune(null, null, null, null) : prune;
    retry = retry == null ? new Retry(null, null, null, null) : retry;
    concurrency = concurrency == null ? new Concurrency(null, null, null) : concurrency;
    guard = guard == null ? new Guard(null, null) : guard;
    approval = approval == null ? Approval.Automatic : approval;
    jobTemplate = jobTemplate == null ? new JobTemplate(null, null, null, null, null) : jobTemplate;
    dryRun = dryRun != null && dryRun;
    suspend = suspend != null && suspend;
    historyLimit = historyLimit == null ? 5 : historyLimit;
  }

  /** One registry and what is wanted of it. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  @ValidationRule(
      value =
          "(has(self.images) && size(self.images) > 0) || (has(self.repositories) &&"
              + " has(self.repositories.include) && size(self.repositories.include) > 0)",
      message = "name images, or patterns in repositories.include")
  public record Source(
      @JsonPropertyDescription("host[:port], without a scheme.")
          @Required
          @Pattern(Api.REGISTRY)
          @Size(max = 253)
          String registry,
      @JsonPropertyDescription("Tells two sources of one registry apart.")
          @Default("default")
          @Pattern(Api.NAME)
          @Size(max = 63)
          String name,
      @JsonPropertyDescription(
              "Where the registry is really reached, tried in order; default https://<registry>.")
          @Size(max = 8)
          List<@Pattern("^https?://[^\\s@?#]+$") @Size(max = 512) String> endpoints,
      @JsonPropertyDescription("repo, repo:tag, repo@digest or repo:tag@digest.") @Size(max = 10000)
          List<@Size(max = 512) String> images,
      Repositories repositories,
      Tags tags,
      @JsonPropertyDescription("os/arch[/variant]; default: all.") @Size(max = 32)
          List<@Pattern("^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9_.]+)?$") @Size(max = 64) String> platforms,
      @JsonPropertyDescription("Signatures, attestations and SBOMs travel with their images.")
          @Default("true")
          Boolean includeReferrers,
      @JsonPropertyDescription("A dockerconfigjson or basic-auth Secret.")
          @Nullable LocalRef credentialsSecretRef,
      Tls tls,
      @Nullable Proxy proxy,
      Limits limits) {
    public Source {
      name = name == null ? "default" : name;
      endpoints = endpoints == null ? List.of() : List.copyOf(endpoints);
      images = images == null ? List.of() : List.copyOf(images);
      repositories = repositories == null ? new Repositories(null, null) : repositories;
      tags = tags == null ? Tags.all() : tags;
      platforms = platforms == null ? List.of() : List.copyOf(platforms);
      includeReferrers = includeReferrers == null || includeReferrers;
      tls = tls == null ? new Tls(null, null, null, null) : tls;
      limits = limits == null ? new Limits(null, null, null, null, null) : limits;
    }
  }

  /** Patterns over the registry's catalog. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Repositories(
      @JsonPropertyDescription("RE2, found anywhere in the name unless anchored.") @Size(max = 256)
          List<@Size(min = 1, max = 1024) String> include,
      @Size(max = 256) List<@Size(min = 1, max = 1024) String> exclude) {
    public Repositories {
      include = include == null ? List.of() : List.copyOf(include);
      exclude = exclude == null ? List.of() : List.copyOf(exclude);
    }
  }

  /** Which tags of a repository. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  @ValidationRule(
      value = "!has(self.sortBy) || (has(self.limit) && self.limit > 0)",
      message = "sortBy orders what limit keeps: set limit")
  public record Tags(
      @JsonPropertyDescription("RE2; default: every tag.") @Size(max = 256)
          List<@Size(min = 1, max = 1024) String> include,
      @Size(max = 256) List<@Size(min = 1, max = 1024) String> exclude,
      @JsonPropertyDescription("A range, as in >=1.2.0 <2; tags that are no semver drop out.")
          @Size(max = 256)
          @Nullable String semver,
      @JsonPropertyDescription(
              "LatestBuild: the newest build of every version, and floating tags. Latest: the"
                  + " newest version with its aliases, and latest.")
          @Default("All")
          Select select,
      @JsonPropertyDescription(
              "MirrorRegistry14: what the tool of 2019 would keep; with Minimized, --minimize comes"
                  + " first whatever select says.")
          @Default("None")
          Compatibility compatibility,
      @JsonPropertyDescription("Newest N after select; 0: all.") @Default("0") @Min(0)
          Integer limit,
      @Nullable SortBy sortBy,
      @JsonPropertyDescription("RE2 with a named group that sortBy compares.") @Size(max = 1024)
          @Nullable String extract) {
    public Tags {
      include = include == null ? List.of() : List.copyOf(include);
      exclude = exclude == null ? List.of() : List.copyOf(exclude);
      select = select == null ? Select.All : select;
      compatibility = compatibility == null ? Compatibility.None : compatibility;
      limit = limit == null ? 0 : limit;
    }

    /** Every tag. */
    public static Tags all() {
      return new Tags(null, null, null, null, null, null, null, null);
    }
  }

  /** Which tags remain. */
  public enum Select {
    All,
    LatestBuild,
    Latest
  }

  /** Whose rules hold. */
  public enum Compatibility {
    /** Ours. */
    None,
    /** Of mirror-registry 1.4: LatestBuild is its --minimize, Latest its --newest-only. */
    MirrorRegistry14,
    /** The same with --minimize before whatever select says: Latest is both flags. */
    MirrorRegistry14Minimized
  }

  /** An order of tags. */
  public enum SortBy {
    SemVer,
    Alphabetical,
    Numerical
  }

  /** How a source is trusted. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Tls(
      @JsonPropertyDescription("ConfigMap key with a CA bundle; default key ca.crt.")
          @Nullable KeyRef caBundleRef,
      @JsonPropertyDescription("A kubernetes.io/tls Secret.")
          @Nullable LocalRef clientCertSecretRef,
      @Default("false") Boolean insecureSkipVerify,
      @Default("false") Boolean plainHTTP) {
    public Tls {
      insecureSkipVerify = insecureSkipVerify != null && insecureSkipVerify;
      plainHTTP = plainHTTP != null && plainHTTP;
    }
  }

  /** An HTTP proxy. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Proxy(
      @Required @Pattern("^https?://[^\\s@?#]+$") @Size(max = 512) String url,
      @Nullable LocalRef credentialsSecretRef) {}

  /** Care for the upstream. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Limits(
      @JsonPropertyDescription(
              "Requests at once, at most half of them transfers. Halved when the upstream answers 429.")
          @Default("32")
          @Min(1)
          @Max(256)
          Integer maxConcurrent,
      @JsonPropertyDescription(
              "Requests of a whole run to the registry, those for tokens and repeated ones counted.")
          @Min(1)
          @Max(10000)
          @Nullable Integer requestsPerSecond,
      @JsonPropertyDescription("Requests of the upstream's quota that are left to others.")
          @Default("5")
          @Min(0)
          Integer minRemaining,
      @Default("1m") @Pattern(Api.DURATION) @Size(max = 32) String timeout,
      @JsonPropertyDescription("Further hosts that may ask for this source's credentials.")
          @Size(max = 16)
          List<@Pattern(Api.REGISTRY) @Size(max = 253) String> tokenRealms) {
    public Limits {
      maxConcurrent = maxConcurrent == null ? 32 : maxConcurrent;
      minRemaining = minRemaining == null ? 5 : minRemaining;
      timeout = timeout == null ? "1m" : timeout;
      tokenRealms = tokenRealms == null ? List.of() : List.copyOf(tokenRealms);
    }
  }

  /** Names at the target. */
  public enum Layout {
    Scoped,
    Flat
  }

  /** What a moved tag means. */
  public enum TagPolicy {
    Follow,
    Immutable
  }

  /** What a refused sparse index means. */
  public enum IndexPolicy {
    Preserve,
    Fail
  }

  /** What the tags of the sources are compared with. */
  public enum Compare {
    /** The digest that the target tells, of each tag. */
    Target,
    /** The digest in the ledger, of tags that the target lists and no other list has noted. */
    Ledger
  }

  /** What becomes of images that are not selected any more, of those that the list put there. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Prune(
      @JsonPropertyDescription("Report tells what would go; Delete takes it away.")
          @Default("Never")
          PruneMode mode,
      @JsonPropertyDescription("How long something stays after it was last selected.")
          @Default("168h")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String gracePeriod,
      @JsonPropertyDescription(
              "When more of what the list put there would go at once, nothing goes.")
          @Default("10")
          @Min(0)
          @Max(100)
          Integer maxDeletePercent,
      @JsonPropertyDescription("What a pod of the cluster runs stays.") @Default("true")
          Boolean protectInUse) {
    public Prune {
      mode = mode == null ? PruneMode.Never : mode;
      gracePeriod = gracePeriod == null ? "168h" : gracePeriod;
      maxDeletePercent = maxDeletePercent == null ? 10 : maxDeletePercent;
      protectInUse = protectInUse == null || protectInUse;
    }
  }

  /** How far pruning goes. */
  public enum PruneMode {
    Never,
    Report,
    Delete
  }

  /** What a failed image means for the others. */
  public enum FailurePolicy {
    Continue,
    Abort
  }

  /** When a request is tried again. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Retry(
      @Default("5") @Min(0) @Max(20) Integer limit,
      @Default("5s") @Pattern(Api.DURATION) @Size(max = 32) String minBackoff,
      @Default("5m") @Pattern(Api.DURATION) @Size(max = 32) String maxBackoff,
      @JsonPropertyDescription("A transfer without a byte for this long is given up and resumed.")
          @Default("60s")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String stallTimeout) {
    public Retry {
      limit = limit == null ? 5 : limit;
      minBackoff = minBackoff == null ? "5s" : minBackoff;
      maxBackoff = maxBackoff == null ? "5m" : maxBackoff;
      stallTimeout = stallTimeout == null ? "60s" : stallTimeout;
    }
  }

  /** Work done at once. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Concurrency(
      @Default("32") @Min(1) @Max(64) Integer images,
      @Default("8") @Min(1) @Max(64) Integer blobs,
      @JsonPropertyDescription("Pods that share the work of a run.") @Default("1") @Min(1) @Max(64)
          Integer shards) {
    public Concurrency {
      shards = shards == null ? 1 : shards;
      images = images == null ? 32 : images;
      blobs = blobs == null ? 8 : blobs;
    }
  }

  /** Upper bounds of a selection. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value = "!has(self.maxBytes) || isQuantity(string(self.maxBytes))",
      message = "maxBytes is a quantity, as in 500Gi")
  public record Guard(@Default("20000") @Min(1) Integer maxImages, @Nullable Quantity maxBytes) {
    public Guard {
      maxImages = maxImages == null ? 20000 : maxImages;
    }
  }

  /** Who says that a plan is carried out. */
  public enum Approval {
    Automatic,
    Manual
  }

  /** Where the digests of a run stand that is to be repeated. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value = "has(self.configMapRef) != has(self.image)",
      message = "name either a configMapRef or an image")
  public record Lock(
      @JsonPropertyDescription(
              "A ConfigMap with the JSON or YAML of kubectl mirror plan; default key lock.json.")
          @Nullable KeyRef configMapRef,
      @JsonPropertyDescription(
              "An artifact with the digests: what status.lockRef or status.reportRef names.")
          @Size(max = 1024)
          @Pattern("^\\S+/\\S+(:\\S+|@sha256:[0-9a-f]{64})$")
          @Nullable String image) {}

  /** Additions to the pods of Jobs. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record JobTemplate(
      @Nullable ResourceRequirements resources,
      Map<String, String> nodeSelector,
      List<Toleration> tolerations,
      @Size(max = 253) @Nullable String priorityClassName,
      @JsonPropertyDescription("Seconds after which a finished Job is removed.") @Min(60)
          @Nullable Integer ttlSecondsAfterFinished) {
    public JobTemplate {
      nodeSelector = nodeSelector == null ? Map.of() : Map.copyOf(nodeSelector);
      tolerations = tolerations == null ? List.of() : List.copyOf(tolerations);
    }
  }
}
