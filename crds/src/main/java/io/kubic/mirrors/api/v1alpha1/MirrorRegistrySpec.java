package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a user wants of a registry; {@code spec: {}} is complete. */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
@ValidationRule(
    value =
        "!has(self.replicas) || self.replicas == 1 || (has(self.storage) &&"
            + " (has(self.storage.s3) || (has(self.storage.persistentVolumeClaim) &&"
            + " self.storage.persistentVolumeClaim.accessMode == 'ReadWriteMany')))",
    message = "replicas above 1 need storage.s3 or a ReadWriteMany claim")
@ValidationRule(
    value =
        "!has(self.external) || !(has(self.storage) || has(self.endpoint) || has(self.auth) ||"
            + " has(self.certificates) || has(self.image) || has(self.podTemplate) ||"
            + " has(self.garbageCollection) || has(self.scrub))",
    message =
        "external excludes storage, endpoint, auth, certificates, image, podTemplate,"
            + " garbageCollection and scrub: such a registry is not ours to run")
@ValidationRule(
    value =
        "!has(self.storage) || !has(self.storage.emptyDir) || !(has(self.garbageCollection) ||"
            + " has(self.scrub))",
    message = "an emptyDir can be seen by its own pod only: no garbageCollection and no scrub")
@ValidationRule(
    value = "!has(self.storage) || !has(self.storage.s3) || !has(self.scrub)",
    message = "scrub looks at files: there is none for s3, which hashes what it keeps itself")
@ValidationRule(
    value = "has(self.external) == has(oldSelf.external)",
    message = "external cannot be added or removed; make another MirrorRegistry")
public record MirrorRegistrySpec(
    @JsonPropertyDescription("Registry pods; more than one needs s3 or a ReadWriteMany claim.")
        @Default("1")
        @Min(1)
        @Max(10)
        Integer replicas,
    @JsonPropertyDescription("The distribution image; default: the one pinned by the operator.")
        @Size(min = 1, max = 512)
        @Nullable String image,
    @JsonPropertyDescription("A registry that exists and is used instead of deploying one.")
        @Nullable External external,
    @JsonPropertyDescription("Where the images are kept; default: a 50Gi claim.") Storage storage,
    @JsonPropertyDescription("How nodes and people reach the registry.") Endpoint endpoint,
    @JsonPropertyDescription("Who may list, pull, push and delete.") Auth auth,
    @JsonPropertyDescription("Who signs the registry's certificate, and how long it lives.")
        Certificates certificates,
    @JsonPropertyDescription("When what nothing needs is removed; writes are held back meanwhile.")
        GarbageCollection garbageCollection,
    @JsonPropertyDescription("When all content is hashed anew; default: never.")
        @Nullable Scrub scrub,
    @JsonPropertyDescription("Lets a platform-filtered index keep its digest.") @Default("true")
        Boolean sparseIndexes,
    @JsonPropertyDescription("Pull Secrets for the pods of this registry.") @Size(max = 8)
        List<LocalRef> pullSecretsRef,
    @JsonPropertyDescription("Additions to the registry's pods.") PodTemplate podTemplate,
    @JsonPropertyDescription("Stops all changes; what runs keeps running.") @Default("false")
        Boolean suspend) {

  public MirrorRegistrySpec {
    replicas = replicas == null ? 1 : replicas;
    storage = storage == null ? new Storage(null, null, null, null, null) : storage;
    endpoint = endpoint == null ? new Endpoint(null, null, null, null, null, null) : endpoint;
    auth = auth == null ? new Auth(null, null, null, null, null, null, null) : auth;
    certificates =
        certificates == null ? new Certificates(null, null, null, null, null) : certificates;
    garbageCollection =
        garbageCollection == null
            ? new GarbageCollection(null, null, null, null, null, null)
            : garbageCollection;
    sparseIndexes = sparseIndexes == null || sparseIndexes;
    pullSecretsRef = pullSecretsRef == null ? List.of() : List.copyOf(pullSecretsRef);
    podTemplate =
        podTemplate == null
            ? new PodTemplate(null, null, null, null, null, null, null)
            : podTemplate;
    suspend = suspend != null && suspend;
  }

  /** All defaults, as of {@code spec: {}}. */
  public static MirrorRegistrySpec defaults() {
    return new MirrorRegistrySpec(
        null, null, null, null, null, null, null, null, null, null, null, null, null);
  }

  /** A registry of somebody else's. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record External(
      @JsonPropertyDescription("https://host[:port]")
          @Required
          @Pattern("^https://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\\[[0-9a-f:]+\\])(:[0-9]{1,5})?$")
          @Size(max = 300)
          String url,
      @JsonPropertyDescription("ConfigMap with the root of its certificate; default key ca.crt.")
          @Required
          KeyRef caBundleRef,
      @JsonPropertyDescription("dockerconfigjson Secret that lists push with.")
          @Nullable LocalRef pushSecretRef,
      @JsonPropertyDescription("dockerconfigjson Secret that may pull.")
          @Nullable LocalRef pullSecretRef) {}

  /** Where content lives; exactly one member, none means a claim. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "[has(self.persistentVolumeClaim), has(self.s3), has(self.hostPath),"
              + " has(self.emptyDir)].filter(x, x).size() <= 1",
      message = "at most one of persistentVolumeClaim, s3, hostPath, emptyDir")
  public record Storage(
      @Nullable VolumeClaim persistentVolumeClaim,
      @Nullable S3 s3,
      @Nullable HostPath hostPath,
      @Nullable EmptyDir emptyDir,
      @JsonPropertyDescription("What happens to a claim that we made when the registry is deleted.")
          @Default("Retain")
          OnDelete onDelete) {
    public Storage {
      onDelete = onDelete == null ? OnDelete.Retain : onDelete;
    }

    /** The claim that is meant, with defaults, when no other member is given. */
    public VolumeClaim claim() {
      return persistentVolumeClaim == null
          ? new VolumeClaim(null, null, null, null)
          : persistentVolumeClaim;
    }

    /** Whether a claim holds the content. */
    public boolean onClaim() {
      return s3 == null && hostPath == null && emptyDir == null;
    }
  }

  /** What becomes of a claim. */
  public enum OnDelete {
    Retain,
    Delete
  }

  /** A PersistentVolumeClaim, made by the operator or existing. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value = "has(self.storageClassName) == has(oldSelf.storageClassName)",
      message = "storageClassName cannot be added or removed")
  public record VolumeClaim(
      @Default("50Gi") Quantity size,
      @Size(max = 253) @Nullable String storageClassName,
      @Default("ReadWriteOnce") AccessMode accessMode,
      @Size(max = 253) @Nullable String existingClaim) {
    public VolumeClaim {
      size = size == null ? new Quantity("50", "Gi") : size;
      accessMode = accessMode == null ? AccessMode.ReadWriteOnce : accessMode;
    }

    @ValidationRule(
        value = "quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",
        message = "size may only grow")
    @Override
    public Quantity size() {
      return size;
    }

    @ValidationRule(value = "self == oldSelf", message = "storageClassName cannot be changed")
    @Override
    public @Nullable String storageClassName() {
      return storageClassName;
    }
  }

  /** How a claim may be mounted. */
  public enum AccessMode {
    ReadWriteOnce,
    ReadWriteOncePod,
    ReadWriteMany
  }

  /** A bucket of an S3 service. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record S3(
      @Required @Size(min = 3, max = 255) String bucket,
      @Default("us-east-1") @Size(max = 64) String region,
      @Pattern("^https?://[^\\s@?#]+$") @Size(max = 512) @Nullable String endpoint,
      @Default("false") Boolean forcePathStyle,
      @Size(max = 512) @Nullable String rootDirectory,
      @JsonPropertyDescription("Secret with the keys accessKey and secretKey.")
          @Nullable LocalRef credentialsSecretRef,
      @JsonPropertyDescription(
              "ConfigMap key with CA certificates of the service; default key ca.crt.")
          @Nullable KeyRef caBundleRef) {
    public S3 {
      region = region == null ? "us-east-1" : region;
      forcePathStyle = forcePathStyle != null && forcePathStyle;
    }
  }

  /** A directory of one node. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record HostPath(@Required @Pattern("^/.+") @Size(max = 1024) String path) {}

  /** Content that is lost with the pod. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record EmptyDir(@Nullable Quantity sizeLimit) {}

  /** One origin for registry and tokens. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  @ValidationRule(
      value = "!has(self.type) || !(self.type in ['NodePort', 'Ingress']) || has(self.hostname)",
      message = "NodePort and Ingress need a hostname that nodes resolve")
  public record Endpoint(
      @JsonPropertyDescription("How traffic from outside of the pods' network comes in.")
          @Default("ClusterIP")
          EndpointType type,
      @JsonPropertyDescription("Nodes use this name instead of an address; they must resolve it.")
          @Pattern("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
          @Size(max = 253)
          @Nullable String hostname,
      @JsonPropertyDescription("Port of the Service; a NodePort is allocated, an Ingress has 443.")
          @Default("5000")
          @Min(1)
          @Max(65535)
          Integer port,
      @JsonPropertyDescription("Further DNS names or addresses for the certificate.")
          @Size(max = 32)
          List<@Pattern("^[a-zA-Z0-9*]([-a-zA-Z0-9.:]*[a-zA-Z0-9])?$") String> extraNames,
      @JsonPropertyDescription("Class of the Ingress; default: the cluster's default class.")
          @Pattern(Api.NAME)
          @Size(max = 253)
          @Nullable String ingressClassName,
      @JsonPropertyDescription("For the Ingress or the Service of type LoadBalancer.")
          Map<String, String> annotations) {
    public Endpoint {
      type = type == null ? EndpointType.ClusterIP : type;
      port = port == null ? 5000 : port;
      extraNames = extraNames == null ? List.of() : List.copyOf(extraNames);
      annotations = annotations == null ? Map.of() : Map.copyOf(annotations);
    }
  }

  /** How traffic comes in. */
  public enum EndpointType {
    ClusterIP,
    NodePort,
    LoadBalancer,
    Ingress
  }

  /** Who may do what. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Auth(
      @JsonPropertyDescription("None lets everybody push.") @Default("Token") AuthMode mode,
      @JsonPropertyDescription("Everybody may list and pull.") @Default("true")
          Boolean anonymousPull,
      @Size(max = 200) List<User> users,
      @JsonPropertyDescription(
              "docker_auth's rules: the first that matches decides; before the roles' defaults.")
          @Size(max = 200)
          List<AclEntry> acl,
      @JsonPropertyDescription("How long a token is good, 1m to 1h.")
          @Default("15m")
          @Pattern(Api.DURATION)
          String tokenLifetime,
      @JsonPropertyDescription("When the passwords of the generated users are replaced.")
          PasswordRotation passwordRotation,
      @JsonPropertyDescription("Where the pull credentials are kept besides this namespace.")
          @Nullable PullSecret pullSecret) {
    public Auth {
      mode = mode == null ? AuthMode.Token : mode;
      anonymousPull = anonymousPull == null || anonymousPull;
      users = users == null ? List.of() : List.copyOf(users);
      acl = acl == null ? List.of() : List.copyOf(acl);
      tokenLifetime = tokenLifetime == null ? "15m" : tokenLifetime;
      passwordRotation =
          passwordRotation == null ? new PasswordRotation(null, null) : passwordRotation;
    }
  }

  /** Replacement of generated passwords; old and new are good together for a while. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "!has(self.interval) || !has(self.overlap) || duration(self.interval) =="
              + " duration('0s') || duration(self.overlap) < duration(self.interval)",
      message = "overlap must be shorter than interval")
  public record PasswordRotation(
      @JsonPropertyDescription("How long a password is used; 0s: until a replacement is asked for.")
          @Default("720h")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String interval,
      @JsonPropertyDescription("How long the old password stays good beside the new one.")
          @Default("24h")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String overlap) {
    public PasswordRotation {
      interval = interval == null ? "720h" : interval;
      overlap = overlap == null ? "24h" : overlap;
    }
  }

  /** A Secret with the pull credentials in other namespaces. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record PullSecret(
      @JsonPropertyDescription("Namespaces by label; {} means all.") @Required
          LabelSelector namespaceSelector) {}

  /** Whether tokens are asked for. */
  public enum AuthMode {
    Token,
    None
  }

  /** A person or machine with a password. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record User(
      @Required @Pattern("^[a-zA-Z0-9][a-zA-Z0-9._@-]*$") @Size(max = 128) String name,
      @Default("Pull") Role role,
      @JsonPropertyDescription(
              "A plain password, a bcrypt hash or an htpasswd -nB line; default key password.")
          @Required
          KeyRef passwordSecretRef) {
    public User {
      role = role == null ? Role.Pull : role;
    }
  }

  /** What a user may do where no rule of the acl decides. */
  public enum Role {
    Admin,
    Push,
    Pull
  }

  /** One rule; a member that is absent matches everything. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record AclEntry(
      @JsonPropertyDescription("Glob or /regex/; the empty string is the anonymous account.")
          @Size(max = 256)
          @Nullable String account,
      @JsonPropertyDescription("Glob or /regex/ over the resource type, as in repository.")
          @Size(max = 256)
          @Nullable String type,
      @JsonPropertyDescription("Glob or /regex/ over the name; ${account} stands for the account.")
          @Size(max = 512)
          @Nullable String name,
      @JsonPropertyDescription("Address or CIDR of the client.") @Size(max = 64)
          @Nullable String ip,
      @JsonPropertyDescription("What is granted: pull, push, delete or *; empty refuses.")
          @Required
          @Size(max = 8)
          List<String> actions,
      @Size(max = 256) @Nullable String comment) {
    public AclEntry {
      actions = actions == null ? List.of() : List.copyOf(actions);
    }
  }

  /** The registry's certificate. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "!has(self.duration) || !has(self.renewBefore) || duration(self.renewBefore) +"
              + " duration(self.renewBefore) < duration(self.duration)",
      message = "renewBefore must be less than half of duration")
  public record Certificates(
      @Default("2160h") @Pattern(Api.DURATION) @Size(max = 32) String duration,
      @Default("720h") @Pattern(Api.DURATION) @Size(max = 32) String renewBefore,
      CertificateAuthority ca,
      PrivateKey privateKey,
      @JsonPropertyDescription("Who signs; default: a CA of the registry's own.") Issuer issuer) {
    public Certificates {
      issuer = issuer == null ? new Issuer(null, null, null) : issuer;
      duration = duration == null ? "2160h" : duration;
      renewBefore = renewBefore == null ? "720h" : renewBefore;
      ca = ca == null ? new CertificateAuthority(null, null, null) : ca;
      privateKey = privateKey == null ? new PrivateKey(null, null) : privateKey;
    }
  }

  /** Who signs; at most one member, none means selfSigned. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "[has(self.selfSigned), has(self.secretRef), has(self.certManager)].filter(x,"
              + " x).size() <= 1",
      message = "at most one of selfSigned, secretRef, certManager")
  public record Issuer(
      @Nullable SelfSigned selfSigned,
      @JsonPropertyDescription("Secret with tls.crt, tls.key and the root in ca.crt.")
          @Nullable LocalRef secretRef,
      @Nullable CertManager certManager) {
    /** Whether the registry has a CA of its own. */
    public boolean ownCa() {
      return secretRef == null && certManager == null;
    }
  }

  /** A CA of the registry's own. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record SelfSigned() {}

  /** An issuer of cert-manager's. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record CertManager(
      @Required @Pattern(Api.NAME) @Size(max = 253) String name,
      @Default("Issuer") @Size(max = 63) String kind,
      @Default("cert-manager.io") @Size(max = 253) String group) {
    public CertManager {
      kind = kind == null ? "Issuer" : kind;
      group = group == null ? "cert-manager.io" : group;
    }
  }

  /** When and how what nothing needs is removed. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record GarbageCollection(
      @JsonPropertyDescription("Five-field cron schedule.")
          @Default("0 3 * * 0")
          @Pattern(Api.CRON)
          @Size(max = 128)
          String schedule,
      @JsonPropertyDescription("IANA name; default: UTC.") @Size(max = 64)
          @Nullable String timeZone,
      @JsonPropertyDescription("Only estimate what would be freed.") @Default("false")
          Boolean dryRun,
      @JsonPropertyDescription("No run by schedule; the annotation still asks for one.")
          @Default("false")
          Boolean suspend,
      @JsonPropertyDescription("Delete nothing when more of all manifests would go.")
          @Default("50")
          @Min(0)
          @Max(100)
          Integer maxDeletePercent,
      @JsonPropertyDescription("Manifests that nothing needs stay for this long.")
          @Default("24h")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String gracePeriod) {
    public GarbageCollection {
      schedule = schedule == null ? "0 3 * * 0" : schedule;
      dryRun = dryRun != null && dryRun;
      suspend = suspend != null && suspend;
      maxDeletePercent = maxDeletePercent == null ? 50 : maxDeletePercent;
      gracePeriod = gracePeriod == null ? "24h" : gracePeriod;
    }
  }

  /** When all content is hashed anew. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Scrub(
      @JsonPropertyDescription("Five-field cron schedule.")
          @Required
          @Pattern(Api.CRON)
          @Size(max = 128)
          String schedule,
      @JsonPropertyDescription("IANA name; default: UTC.") @Size(max = 64)
          @Nullable String timeZone) {}

  /** Life of the CA. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "!has(self.duration) || !has(self.renewBefore) || duration(self.renewBefore) +"
              + " duration(self.renewBefore) < duration(self.duration)",
      message = "renewBefore must be less than half of duration")
  public record CertificateAuthority(
      @Default("43800h") @Pattern(Api.DURATION) @Size(max = 32) String duration,
      @Default("8760h") @Pattern(Api.DURATION) @Size(max = 32) String renewBefore,
      @JsonPropertyDescription(
              "How long a successor is trusted before it signs, and its predecessor afterwards.")
          @Default("24h")
          @Pattern(Api.DURATION)
          @Size(max = 32)
          String overlap) {
    public CertificateAuthority {
      duration = duration == null ? "43800h" : duration;
      renewBefore = renewBefore == null ? "8760h" : renewBefore;
      overlap = overlap == null ? "24h" : overlap;
    }
  }

  /** Kind of the private keys. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value =
          "!has(self.size) || (self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] :"
              + " self.size in [256, 384])",
      message = "size is 256 or 384 for ECDSA, and 2048, 3072 or 4096 for RSA")
  public record PrivateKey(@Default("ECDSA") KeyAlgorithm algorithm, @Nullable Integer size) {
    public PrivateKey {
      algorithm = algorithm == null ? KeyAlgorithm.ECDSA : algorithm;
    }

    /** Bits of the key, with the algorithm's default. */
    public int bits() {
      return size != null ? size : algorithm == KeyAlgorithm.RSA ? 3072 : 256;
    }
  }

  /** Kinds of keys. */
  public enum KeyAlgorithm {
    ECDSA,
    RSA
  }

  /** Additions to pods. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record PodTemplate(
      @Nullable ResourceRequirements resources,
      Map<String, String> nodeSelector,
      List<Toleration> tolerations,
      @Nullable Affinity affinity,
      @Size(max = 253) @Nullable String priorityClassName,
      Map<String, String> annotations,
      Map<String, String> labels) {
    public PodTemplate {
      nodeSelector = nodeSelector == null ? Map.of() : Map.copyOf(nodeSelector);
      tolerations = tolerations == null ? List.of() : List.copyOf(tolerations);
      annotations = annotations == null ? Map.of() : Map.copyOf(annotations);
      labels = labels == null ? Map.of() : Map.copyOf(labels);
    }
  }
}
