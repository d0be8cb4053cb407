package io.kubic.mirrors.gateway;

import io.kubic.mirrors.gateway.GatewayConfig.Role;
import io.kubic.mirrors.gateway.GatewayConfig.User;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bouncycastle.crypto.generators.OpenBSDBCrypt;

/** The users and their passwords; a value, replaced as a whole when a file changes. */
final class Users {
  /** What a password file may hold at most; a bcrypt hash has 60 characters. */
  private static final long MAX_FILE = 4096;

  /** A secret to compare with: plain, kept as its hash, or bcrypt. */
  private sealed interface Password {
    record Plain(byte[] sha256) implements Password {
      @Override
      public String toString() {
        return "***";
      }
    }

    record Bcrypt(String hash) implements Password {
      @Override
      public String toString() {
        return "***";
      }
    }
  }

  private record Entry(Role role, List<Password> passwords) {}

  /** Whether a password costs much to check. */
  enum Cost {
    CHEAP,
    BCRYPT
  }

  /** A file that names the state of the directory; who writes the directory chooses it. */
  private static final String VERSION_FILE = "version";

  private final Map<String, Entry> entries;
  private final String version;

  private Users(Map<String, Entry> entries, String version) {
    this.entries = entries;
    this.version = version;
  }

  /**
   * Reads the password files of all users.
   *
   * @throws IOException when a file is there and cannot be read
   */
  static Users read(Path directory, List<User> users) throws IOException {
    // Read first: a directory that is replaced meanwhile must not be told as newer than it is.
    Path versionFile = directory.resolve(VERSION_FILE);
    String version =
        Files.isRegularFile(versionFile) && Files.size(versionFile) <= MAX_FILE
            ? Files.readString(versionFile, StandardCharsets.UTF_8).strip()
            : "";
    Map<String, Entry> entries = new LinkedHashMap<>();
    for (User user : users) {
      List<Password> passwords = new ArrayList<>();
      for (String file : user.passwordFiles()) {
        Path path = directory.resolve(file);
        try {
          if (Files.size(path) > MAX_FILE) {
            throw new IOException("the password file " + file + " is larger than 4 KiB");
          }
          password(Files.readString(path, StandardCharsets.UTF_8)).ifPresent(passwords::add);
        } catch (NoSuchFileException e) {
          // An absent file is no password: half of an overlap that is not there.
        }
      }
      entries.put(user.name(), new Entry(user.role(), List.copyOf(passwords)));
    }
    return new Users(entries, version);
  }

  /** The state of the directory that was read; empty when its writer gives none. */
  String version() {
    return version;
  }

  /** The role of a user. */
  Optional<Role> role(String name) {
    return Optional.ofNullable(entries.get(name)).map(Entry::role);
  }

  Cost cost(String name) {
    Entry entry = entries.get(name);
    return entry != null && entry.passwords.stream().anyMatch(p -> p instanceof Password.Bcrypt)
        ? Cost.BCRYPT
        : Cost.CHEAP;
  }

  /** Whether a password is one of the user's. Checking bcrypt takes tens of milliseconds. */
  boolean verify(String name, String password) {
    Entry entry = entries.get(name);
    boolean good = false;
    byte[] given = sha256(password);
    for (Password known : entry == null ? List.<Password>of() : entry.passwords) {
      good |=
          switch (known) {
            case Password.Plain plain -> MessageDigest.isEqual(plain.sha256, given);
            case Password.Bcrypt bcrypt -> checkBcrypt(bcrypt.hash, password);
          };
    }
    return good;
  }

  int size() {
    return entries.size();
  }

  /** How many users could log in. */
  long withPassword() {
    return entries.values().stream().filter(entry -> !entry.passwords.isEmpty()).count();
  }

  private static Optional<Password> password(String content) {
    String text = content.strip();
    int colon = text.indexOf(':');
    String hash =
        colon >= 0 && isBcrypt(text.substring(colon + 1)) ? text.substring(colon + 1) : text;
    if (isBcrypt(hash)) {
      return Optional.of(new Password.Bcrypt(hash));
    }
    // Only the line end that editors add is not part of a password.
    String plain = content.endsWith("\n") ? content.substring(0, content.length() - 1) : content;
    plain = plain.endsWith("\r") ? plain.substring(0, plain.length() - 1) : plain;
    return plain.isEmpty() ? Optional.empty() : Optional.of(new Password.Plain(sha256(plain)));
  }

  private static boolean isBcrypt(String text) {
    return text.length() == 60
        && (text.startsWith("$2a$") || text.startsWith("$2b$") || text.startsWith("$2y$"));
  }

  private static boolean checkBcrypt(String hash, String password) {
    try {
      return !password.isEmpty() && OpenBSDBCrypt.checkPassword(hash, password.toCharArray());
    } catch (RuntimeException e) {
      // A malformed hash, or a password with a NUL, never matches; as in docker_auth.
      return false;
    }
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
