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
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a user wants of the nodes' runtimes. */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
@ValidationRule(
    value = "has(self.registryRef) || (has(self.mirrors) && size(self.mirrors) > 0)",
    message = "name a registryRef, or mirrors")
public record NodeRegistryConfigSpec(
    @JsonPropertyDescription(
            "The MirrorRegistry that nodes pull from; its MirrorLists say for which sources.")
        @Nullable ObjectRef registryRef,
    @JsonPropertyDescription("Which nodes; default: all Linux nodes.")
        @Nullable LabelSelector nodeSelector,
    @JsonPropertyDescription("Mirrors besides the derived ones.") @Size(max = 128)
        List<Mirror> mirrors,
    @JsonPropertyDescription("For derived mirrors.") @Default("AllowContactingSource")
        SourcePolicy defaultPolicy,
    @JsonPropertyDescription("Registries that are never contacted.") @Size(max = 128)
        List<@Size(max = 512) String> blockedRegistries,
    @JsonPropertyDescription("CRI-O and podman: where short names are looked up.") @Size(max = 32)
        List<@Pattern(Api.REGISTRY) @Size(max = 253) String> unqualifiedSearchRegistries,
    @JsonPropertyDescription("CRI-O and podman.") @Nullable ShortNameMode shortNameMode,
    @JsonPropertyDescription("Default [Auto]: what is found on the node.") @Size(max = 8)
        List<Runtime> runtimes,
    Trust trust,
    @JsonPropertyDescription(
            "Secret with the logins that nodes pull with (.dockerconfigjson, or username and password"
                + " for the registry of registryRef); only needed where a mirror lets nobody pull"
                + " anonymously.")
        @Nullable ObjectRef credentialsSecretRef,
    @JsonPropertyDescription("Time for a connection, where the runtime has it.")
        @Default("2s")
        @Pattern(Api.DURATION)
        @Size(max = 32)
        String dialTimeout,
    Health health,
    Rollout rollout,
    Verify verify,
    @JsonPropertyDescription("Whether files that somebody changed are put back.")
        @Default("Correct")
        DriftPolicy driftPolicy,
    @JsonPropertyDescription("Whether deletion restores what was there.") @Default("Restore")
        RemovalPolicy removalPolicy,
    @JsonPropertyDescription(
            "Whether a containerd that reads no per-registry files is set up to, and restarted once."
                + " With IfRequired agents work with the whole file system of the node.")
        @Default("Never")
        RuntimeRestart runtimeRestart,
    Agent agent,
    @JsonPropertyDescription("Stops all changes; what runs keeps running.") @Default("false")
        Boolean suspend) {

  public NodeRegistryConfigSpec {
    mirrors = mirrors == null ? List.of() : List.copyOf(mirrors);
    defaultPolicy = defaultPolicy == null ? SourcePolicy.AllowContactingSource : defaultPolicy;
    blockedRegistries = blockedRegistries == null ? List.of() : List.copyOf(blockedRegistries);
    unqualifiedSearchRegistries =
        unqualifiedSearchRegistries == null ? List.of() : List.copyOf(unqualifiedSearchRegistries);
    runtimes =
        runtimes == null || runtimes.isEmpty() ? List.of(Runtime.Auto) : List.copyOf(runtimes);
    trust = trust == null ? new Trust(null, null, null) : trust;
    dialTimeout = dialTimeout == null ? "2s" : dialTimeout;
    health = health == null ? new Health(null, null, null, null) : health;
    rollout = rollout == null ? new Rollout(null, null, null) : rollout;
    verify = verify == null ? new Verify(null, null) : verify;
    driftPolicy = driftPolicy == null ? DriftPolicy.Correct : driftPolicy;
    removalPolicy = removalPolicy == null ? RemovalPolicy.Restore : removalPolicy;
    runtimeRestart = runtimeRestart == null ? RuntimeRestart.Never : runtimeRestart;
    agent = agent == null ? new Agent(null, null, null) : agent;
    suspend = suspend != null && suspend;
  }

  /** Endpoints for the images of one source, in order. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Mirror(
      @JsonPropertyDescription("host, host/path or *.host")
          @Required
          @Pattern("^(\\*\\.)?[a-zA-Z0-9\\[][a-zA-Z0-9.:\\[\\]-]*(/[a-z0-9._-]+)*$")
          @Size(max = 512)
          String source,
      @Size(min = 1, max = 16) List<Endpoint> endpoints,
      @Default("AllowContactingSource") SourcePolicy policy) {
    public Mirror {
      endpoints = endpoints == null ? List.of() : List.copyOf(endpoints);
      policy = policy == null ? SourcePolicy.AllowContactingSource : policy;
    }
  }

  /** One mirror of a source. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Endpoint(
      @JsonPropertyDescription("host[:port][/path]")
          @Required
          @Pattern("^[a-zA-Z0-9\\[][a-zA-Z0-9.:\\[\\]-]*(/[a-z0-9._-]+)*$")
          @Size(max = 512)
          String location,
      @Default("All") Pull pull,
      @Default("false") Boolean insecure) {
    public Endpoint {
      pull = pull == null ? Pull.All : pull;
      insecure = insecure != null && insecure;
    }
  }

  /** Which references an endpoint serves. */
  public enum Pull {
    All,
    DigestOnly,
    TagOnly
  }

  /** Whether the source itself may be asked. */
  public enum SourcePolicy {
    AllowContactingSource,
    NeverContactSource
  }

  /** containers-registries.conf(5), short-name-mode. */
  public enum ShortNameMode {
    @JsonProperty("enforcing")
    ENFORCING,
    @JsonProperty("permissive")
    PERMISSIVE,
    @JsonProperty("disabled")
    DISABLED
  }

  /** A container runtime, by the name its users use. */
  public enum Runtime {
    Auto,
    @JsonProperty("containerd")
    CONTAINERD,
    @JsonProperty("crio")
    CRIO,
    @JsonProperty("podman")
    PODMAN,
    @JsonProperty("k3s")
    K3S,
    @JsonProperty("rke2")
    RKE2,
    @JsonProperty("docker")
    DOCKER
  }

  /** Certificates that nodes trust. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Trust(
      @Default("true") Boolean includeRegistryCA,
      @Size(max = 32) List<AdditionalCa> additionalCAs,
      @JsonPropertyDescription(
              "Whether all programs of a node trust these CAs, by the distribution's own store."
                  + " Agents then work with the whole file system of the node.")
          @Default("false")
          Boolean systemStore) {
    public Trust {
      systemStore = systemStore != null && systemStore;
      includeRegistryCA = includeRegistryCA == null || includeRegistryCA;
      additionalCAs = additionalCAs == null ? List.of() : List.copyOf(additionalCAs);
    }
  }

  /** A CA for one host. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record AdditionalCa(
      @Required @Pattern(Api.REGISTRY) @Size(max = 253) String host,
      @JsonPropertyDescription("ConfigMap with the key ca.crt.") @Required
          ObjectRef configMapRef) {}

  /** When a mirror is taken out of a node's configuration. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Health(
      @Default("10s") @Pattern(Api.DURATION) @Size(max = 32) String interval,
      @Default("3") @Min(1) @Max(100) Integer failureThreshold,
      @Default("2") @Min(1) @Max(100) Integer successThreshold,
      @Default("true") Boolean withdraw) {
    public Health {
      interval = interval == null ? "10s" : interval;
      failureThreshold = failureThreshold == null ? 3 : failureThreshold;
      successThreshold = successThreshold == null ? 2 : successThreshold;
      withdraw = withdraw == null || withdraw;
    }
  }

  /** How a change reaches the nodes. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "!has(self.maxUnavailable) || (type(self.maxUnavailable) == string ?"
              + " self.maxUnavailable.matches('^([1-9][0-9]?|100)%$') : self.maxUnavailable >= 1)",
      message = "maxUnavailable is a number from 1 or a percentage, as in 10%")
  public record Rollout(
      @JsonPropertyDescription("Number or percentage of nodes at once.") @Default("1")
          IntOrString maxUnavailable,
      @JsonPropertyDescription("How long a node must stay proven before the next.")
          @Default("30s")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String soak,
      @Default("false") Boolean paused) {
    public Rollout {
      maxUnavailable = maxUnavailable == null ? new IntOrString(1) : maxUnavailable;
      soak = soak == null ? "30s" : soak;
      paused = paused != null && paused;
    }
  }

  /** The proof a node gives. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Verify(
      @JsonPropertyDescription(
              "Resolve: TLS, token and a manifest, as the runtime would. Pull: besides, the node's"
                  + " kubelet pulls an image that only the mirror has, and its digest is compared.")
          @Default("Resolve")
          VerifyMode mode,
      @JsonPropertyDescription(
              "The image that is resolved or pulled. Without one, Pull takes an image that the operator"
                  + " pushes to the registry of registryRef.")
          @Size(max = 512)
          @Nullable String image) {
    public Verify {
      mode = mode == null ? VerifyMode.Resolve : mode;
    }
  }

  /** What is proven. */
  public enum VerifyMode {
    Resolve,
    Pull,
    None
  }

  /** What a foreign change of our files means. */
  public enum DriftPolicy {
    Correct,
    Report
  }

  /** What deletion leaves. */
  public enum RemovalPolicy {
    Restore,
    Leave
  }

  /** When a runtime is restarted. */
  public enum RuntimeRestart {
    Never,
    IfRequired
  }

  /** Additions to the agent's pods. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Agent(
      @Nullable ResourceRequirements resources,
      @JsonPropertyDescription("Default: everything is tolerated.") List<Toleration> tolerations,
      @Size(max = 253) @Nullable String priorityClassName) {
    public Agent {
      tolerations = tolerations == null ? List.of() : List.copyOf(tolerations);
    }
  }
}
