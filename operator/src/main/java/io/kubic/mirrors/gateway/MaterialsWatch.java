package io.kubic.mirrors.gateway;

import io.kubic.mirrors.gateway.GatewayConfig.User;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.InvalidCertificateException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The newest good materials. Kubernetes replaces mounted files at any time, one volume after the
 * other; so each part is taken over by itself, and what cannot be used is told, shown, and leaves
 * the old of that part in force. Parts that were never good are waited for.
 */
final class MaterialsWatch {
  private static final Logger LOG = LoggerFactory.getLogger("gateway");
  private static final long MAX_FILE = 4L * 1024 * 1024;

  /** What is read, and taken over, by itself. */
  enum Part {
    /** gateway.json, with the rules. */
    CONFIG,
    CERTIFICATE,
    TOKEN_KEYS,
    USERS;

    /** As it is called in logs and metrics. */
    String label() {
      return switch (this) {
        case CONFIG -> "configuration";
        case CERTIFICATE -> "certificate";
        case TOKEN_KEYS -> "token-keys";
        case USERS -> "users";
      };
    }
  }

  private final Path configFile;
  private final Clock clock;
  private final Map<Part, String> prints = new EnumMap<>(Part.class);
  private final Map<Part, String> suspects = new EnumMap<>(Part.class);
  private volatile Map<Part, String> problems = Map.of();
  private volatile @Nullable Materials current;
  private GatewayConfig config;
  private Acl acl;
  private @Nullable CertifiedKey certificate;
  private @Nullable TokenKeys keys;
  private Users users = Users.NONE;

  /**
   * @throws IOException when gateway.json cannot be used: without it nothing is known, not even
   *     where to listen
   */
  MaterialsWatch(Path configFile, Clock clock) throws IOException {
    this.configFile = configFile;
    this.clock = clock;
    String text = Files.readString(configFile);
    try {
      config = GatewayConfig.parse(text);
    } catch (IllegalArgumentException e) {
      throw new IOException(configFile + ": " + e.getMessage());
    }
    acl = Acl.compile(config.acl());
    prints.put(Part.CONFIG, print(text.getBytes(StandardCharsets.UTF_8)));
    look();
    // There is nothing old to keep: what is wrong now need not be seen twice.
    look();
  }

  /** The configuration in force. */
  synchronized GatewayConfig config() {
    return config;
  }

  /** What is in force; empty while a part has never been good. */
  Optional<Materials> ready() {
    return Optional.ofNullable(current);
  }

  /**
   * What is in force.
   *
   * @throws IllegalStateException while a part has never been good
   */
  Materials current() {
    Materials now = current;
    if (now == null) {
      throw new IllegalStateException("not all files are there yet");
    }
    return now;
  }

  /** What cannot be used, by part, a sentence each; none quotes a secret. */
  Map<Part, String> problems() {
    return problems;
  }

  /** Looks whether anything changed; to be called every second or so. */
  synchronized void look() {
    Map<Part, String> found = new EnumMap<>(Part.class);
    boolean changed = false;
    for (Part part : Part.values()) {
      try {
        changed |= look(part);
        suspects.remove(part);
      } catch (Unusable e) {
        // A volume is replaced in more than one step: what is wrong twice in a row is wrong.
        String before = suspects.put(part, e.getMessage());
        if (e.getMessage().equals(before)) {
          found.put(part, e.getMessage());
        }
      }
    }
    report(found);
    CertifiedKey pair = certificate;
    TokenKeys set = keys;
    if (changed && pair != null && set != null) {
      boolean first = current == null;
      current = new Materials(config, pair, set, users, acl);
      LOG.info(
          "{}: certificate {} until {}, {} users, {} token keys, {} rules",
          first ? "all files are there" : "new files are in force",
          pair.serial(),
          pair.notAfter(),
          users.size(),
          set.size(),
          config.acl().size());
    }
  }

  private void report(Map<Part, String> found) {
    found.forEach(
        (part, problem) -> {
          if (!problem.equals(problems.get(part))) {
            LOG.warn(
                "the {} cannot be used, {}: {}",
                part.label(),
                known(part) ? "the old stays in force" : "it is waited for",
                problem);
          }
        });
    problems.keySet().stream()
        .filter(part -> !found.containsKey(part))
        .forEach(part -> LOG.info("the {} is good again", part.label()));
    problems = Map.copyOf(found);
  }

  private boolean known(Part part) {
    return switch (part) {
      case CONFIG, USERS -> true;
      case CERTIFICATE -> certificate != null;
      case TOKEN_KEYS -> keys != null;
    };
  }

  /** Why a part cannot be used. */
  private static final class Unusable extends Exception {
    private static final long serialVersionUID = 1L;

    Unusable(String problem) {
      super(problem);
    }

    @Override
    public String getMessage() {
      return String.valueOf(super.getMessage());
    }
  }

  /** Takes a part over when it changed and is good. */
  private boolean look(Part part) throws Unusable {
    return switch (part) {
      case CONFIG -> lookAtConfig();
      case CERTIFICATE -> lookAtCertificate();
      case TOKEN_KEYS -> lookAtKeys();
      case USERS -> lookAtUsers();
    };
  }

  private boolean lookAtConfig() throws Unusable {
    byte[] text = read(configFile);
    String print = print(text);
    if (print.equals(prints.get(Part.CONFIG))) {
      return false;
    }
    try {
      config = GatewayConfig.parse(new String(text, StandardCharsets.UTF_8));
    } catch (IllegalArgumentException e) {
      throw new Unusable(configFile + ": " + e.getMessage());
    }
    acl = Acl.compile(config.acl());
    // Other directories, other users: everything is looked at anew.
    prints.clear();
    prints.put(Part.CONFIG, print);
    return true;
  }

  private boolean lookAtCertificate() throws Unusable {
    Path directory = Path.of(config.tlsDirectory());
    byte[] chain = read(directory.resolve("tls.crt"));
    byte[] key = read(directory.resolve("tls.key"));
    String print = print(chain, key);
    if (print.equals(prints.get(Part.CERTIFICATE))) {
      return false;
    }
    CertifiedKey pair;
    try {
      pair =
          CertifiedKey.parse(
              new String(chain, StandardCharsets.UTF_8), new String(key, StandardCharsets.UTF_8));
    } catch (InvalidCertificateException e) {
      throw new Unusable(directory + ": " + e.getMessage());
    }
    CertifiedKey old = certificate;
    if (old != null
        && clock.instant().isAfter(pair.notAfter())
        && clock.instant().isBefore(old.notAfter())) {
      throw new Unusable(directory + ": the new certificate has expired, the old one has not");
    }
    certificate = pair;
    prints.put(Part.CERTIFICATE, print);
    return true;
  }

  private boolean lookAtKeys() throws Unusable {
    Path file = Path.of(config.tokenKeysDirectory()).resolve("keys.json");
    byte[] text = read(file);
    String print = print(text);
    if (print.equals(prints.get(Part.TOKEN_KEYS))) {
      return false;
    }
    try {
      keys = TokenKeys.parse(text);
    } catch (IllegalArgumentException e) {
      throw new Unusable(file + ": " + e.getMessage());
    }
    prints.put(Part.TOKEN_KEYS, print);
    return true;
  }

  private boolean lookAtUsers() throws Unusable {
    Path directory = Path.of(config.usersDirectory());
    Map<String, byte[]> files = new LinkedHashMap<>();
    if (Files.isRegularFile(directory.resolve(Users.VERSION_FILE))) {
      files.put(Users.VERSION_FILE, read(directory.resolve(Users.VERSION_FILE)));
    }
    for (User user : config.users()) {
      for (String file : user.passwordFiles()) {
        try {
          files.put(file, read(directory.resolve(file)));
        } catch (Unusable e) {
          // Reading the users tells what is wrong with which of them.
          files.put(file, e.getMessage().getBytes(StandardCharsets.UTF_8));
        }
      }
    }
    String print = config.users() + print(files.values().toArray(byte[][]::new));
    boolean changed = !print.equals(prints.get(Part.USERS));
    if (!changed && !problems.containsKey(Part.USERS) && !suspects.containsKey(Part.USERS)) {
      return false;
    }
    Users.Reading reading = Users.read(directory, config.users(), users);
    if (changed) {
      users = reading.users();
      prints.put(Part.USERS, print);
      publishUsers();
    }
    if (!reading.problems().isEmpty()) {
      throw new Unusable(String.join("; ", reading.problems()));
    }
    return changed;
  }

  /** Users are taken over one by one, so those that are good are in force beside the damaged. */
  private void publishUsers() {
    Materials now = current;
    if (now != null) {
      current = new Materials(config, now.certificate(), now.keys(), users, acl);
    }
  }

  private static byte[] read(Path file) throws Unusable {
    try {
      if (Files.size(file) > MAX_FILE) {
        throw new Unusable(file + " is too large");
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new Unusable(file + " is not there");
    } catch (IOException e) {
      throw new Unusable(file + " cannot be read");
    }
  }

  private static String print(byte[]... parts) {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      for (byte[] part : parts) {
        // Lengths keep apart what bytes alone would not.
        sha256.update((part.length + ":").getBytes(StandardCharsets.UTF_8));
        sha256.update(part);
      }
      return HexFormat.of().formatHex(sha256.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
