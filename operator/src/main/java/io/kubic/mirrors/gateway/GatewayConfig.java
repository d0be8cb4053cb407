package io.kubic.mirrors.gateway;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code gateway.json}: everything a gateway is told, without a secret. It is read again while
 * running; {@code listen}, {@code backend}, {@code admin} and the limits take effect at the next
 * start, everything else at once.
 *
 * @param listen {@code [HOST]:PORT} of the HTTPS origin
 * @param backend URL of the registry, plain HTTP on loopback
 * @param admin {@code [HOST]:PORT} of probes, metrics and the freeze, plain HTTP
 * @param service name of the registry: audience of its tokens
 * @param issuer who signs the tokens
 * @param authMode {@code None} lets everybody do everything
 * @param anonymousPull everybody may pull and list
 * @param tokenLifetimeSeconds 60 to 3600
 * @param tlsDirectory holds {@code tls.crt} (chain, leaf first) and {@code tls.key} (PKCS#8)
 * @param tokenKeysDirectory holds {@code keys.json}, see {@link TokenKeys}
 * @param usersDirectory root of the users' password files
 * @param adminTokenFile holds the bearer secret of the freeze; null: there is no freeze
 * @param storageDirectory where the registry's volume can be looked at; null: there is none
 * @param maxBlobReads how many blobs are read from the registry at once; others wait their turn
 * @param blobWaitSeconds how long a blob read waits for its first turn before it is told to come
 *     again
 * @param idleTimeoutSeconds a connection on which nothing moves for so long is closed
 * @param lingerSeconds how long a gateway that was asked to stop goes on accepting, until everybody
 *     knows that it is not ready
 * @param drainSeconds how long running requests may take after that
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record GatewayConfig(
    String listen,
    String backend,
    String admin,
    String service,
    String issuer,
    AuthMode authMode,
    Boolean anonymousPull,
    Integer tokenLifetimeSeconds,
    String tlsDirectory,
    String tokenKeysDirectory,
    String usersDirectory,
    @Nullable String adminTokenFile,
    @Nullable String storageDirectory,
    List<User> users,
    List<AclRule> acl,
    Audit audit,
    Integer maxBlobReads,
    Integer blobWaitSeconds,
    Integer idleTimeoutSeconds,
    Integer lingerSeconds,
    Integer drainSeconds) {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  /** Whether tokens are asked for. */
  public enum AuthMode {
    Token,
    None
  }

  /** Which decisions leave an audit line. */
  public enum Audit {
    All,
    /** Refusals, logins and everything that changes content. */
    Writes,
    None
  }

  /** What a user may do where no rule decides. */
  public enum Role {
    Admin,
    Push,
    Pull
  }

  /**
   * A user.
   *
   * @param passwordFiles paths below the users' directory; each holds a plain password, a bcrypt
   *     hash or an htpasswd line. One that is absent is no password; with none the user cannot log
   *     in
   */
  public record User(String name, Role role, List<String> passwordFiles) {
    public User {
      role = role == null ? Role.Pull : role;
      passwordFiles = passwordFiles == null ? List.of() : List.copyOf(passwordFiles);
      if (name == null || name.isEmpty() || name.contains(":")) {
        throw new IllegalArgumentException("users[]: a user needs a name without a colon");
      }
      for (String file : passwordFiles) {
        if (file.startsWith("/") || List.of(file.split("/", -1)).contains("..")) {
          throw new IllegalArgumentException(
              "users[" + name + "].passwordFiles: '" + file + "' leaves the users' directory");
        }
      }
    }
  }

  public GatewayConfig {
    listen = listen == null ? ":5000" : listen;
    backend = backend == null ? "http://127.0.0.1:5001" : backend;
    admin = admin == null ? ":5002" : admin;
    service = service == null ? "mirror" : service;
    issuer = issuer == null ? service : issuer;
    authMode = authMode == null ? AuthMode.Token : authMode;
    anonymousPull = anonymousPull == null || anonymousPull;
    tokenLifetimeSeconds = tokenLifetimeSeconds == null ? 900 : tokenLifetimeSeconds;
    tlsDirectory = tlsDirectory == null ? "/etc/mirror/tls" : tlsDirectory;
    tokenKeysDirectory = tokenKeysDirectory == null ? "/etc/mirror/token-keys" : tokenKeysDirectory;
    usersDirectory = usersDirectory == null ? "/etc/mirror/users" : usersDirectory;
    users = users == null ? List.of() : List.copyOf(users);
    acl = acl == null ? List.of() : List.copyOf(acl);
    audit = audit == null ? Audit.All : audit;
    maxBlobReads = maxBlobReads == null ? 32 : maxBlobReads;
    blobWaitSeconds = blobWaitSeconds == null ? 240 : blobWaitSeconds;
    idleTimeoutSeconds = idleTimeoutSeconds == null ? 120 : idleTimeoutSeconds;
    lingerSeconds = lingerSeconds == null ? 5 : lingerSeconds;
    drainSeconds = drainSeconds == null ? 60 : drainSeconds;
    check("tokenLifetimeSeconds", tokenLifetimeSeconds, 60, 3600);
    check("maxBlobReads", maxBlobReads, 1, 4096);
    check("blobWaitSeconds", blobWaitSeconds, 1, 3600);
    check("idleTimeoutSeconds", idleTimeoutSeconds, 1, 3600);
    check("lingerSeconds", lingerSeconds, 0, 300);
    check("drainSeconds", drainSeconds, 0, 3600);
    if (users.stream().map(User::name).distinct().count() != users.size()) {
      throw new IllegalArgumentException("users[]: a name is there twice");
    }
    Acl.compile(acl);
  }

  /** A configuration of defaults: token mode, anonymous pull, no users. */
  public static GatewayConfig defaults() {
    return parse("{}");
  }

  /**
   * Reads {@code gateway.json}.
   *
   * @throws IllegalArgumentException with one line that names the field
   */
  public static GatewayConfig parse(String json) {
    try {
      return JSON.readValue(json, GatewayConfig.class);
    } catch (JsonMappingException e) {
      Throwable cause = e.getCause();
      throw new IllegalArgumentException(
          cause instanceof IllegalArgumentException
              ? String.valueOf(cause.getMessage())
              : e.getPathReference() + ": " + e.getOriginalMessage());
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("not valid JSON: " + e.getOriginalMessage());
    }
  }

  /** The text that {@link #parse} reads; the same configuration always is the same text. */
  public static String toJson(GatewayConfig config) {
    try {
      return JSON.writeValueAsString(config) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void check(String field, int value, int least, int most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(field + ": must be " + least + " to " + most);
    }
  }
}
