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
import org.jspecify.annotations.Nullable;

/** The users and their passwords; a value, replaced as a whole when a file changes. */
final class Users {
  /** What a password file may hold at most: room for a whole htpasswd file. */
  private static final long MAX_FILE = 64 * 1024;

  /** A secret to compare with: plain, kept as its hash, or bcrypt. */
  private sealed interface Password {
    record Plain(byte[] sha256) implements Password {
      @Override
      public boolean equals(@Nullable Object other) {
        return other instanceof Plain plain && MessageDigest.isEqual(sha256, plain.sha256);
      }

      @Override
      public int hashCode() {
        return java.util.Arrays.hashCode(sha256);
      }

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
  static final String VERSION_FILE = "version";

  private final Map<String, Entry> entries;
  private final String version;

  private Users(Map<String, Entry> entries, String version) {
    this.entries = entries;
    this.version = version;
  }

  /** Nobody. */
  static final Users NONE = new Users(Map.of(), "");

  /** Users, and what could not be used of their files, a sentence each. */
  record Reading(Users users, List<String> problems) {
    Reading {
      problems = List.copyOf(problems);
    }
  }

  /**
   * Reads the password files of all users. Where one cannot be used, what was known of that user
   * stays good, so that a slip in one Secret locks out nobody and keeps nobody in.
   */
  static Reading read(Path directory, List<User> users, Users before) {
    // Read first: a directory that is replaced meanwhile must not be told as newer than it is.
    String version = version(directory);
    Map<String, Entry> entries = new LinkedHashMap<>();
    List<String> problems = new ArrayList<>();
    for (User user : users) {
      List<Password> passwords = new ArrayList<>();
      boolean damaged = false;
      for (String file : user.passwordFiles()) {
        Path path = directory.resolve(file);
        try {
          if (Files.size(path) > MAX_FILE) {
            throw new IllegalArgumentException("is larger than 64 KiB");
          }
          password(user.name(), Files.readString(path, StandardCharsets.UTF_8))
              .ifPresent(passwords::add);
        } catch (NoSuchFileException e) {
          // An absent file is no password: half of an overlap that is not there.
        } catch (IllegalArgumentException e) {
          damaged = true;
          problems.add("user " + user.name() + ": the password " + e.getMessage());
        } catch (IOException e) {
          damaged = true;
          problems.add("user " + user.name() + ": the password cannot be read");
        }
      }
      Entry earlier = before.entries.get(user.name());
      if (damaged && earlier != null) {
        earlier.passwords.stream().filter(p -> !passwords.contains(p)).forEach(passwords::add);
      }
      entries.put(user.name(), new Entry(user.role(), List.copyOf(passwords)));
    }
    // What is not wholly in force is not said to be.
    return new Reading(new Users(entries, problems.isEmpty() ? version : before.version), problems);
  }

  private static String version(Path directory) {
    Path file = directory.resolve(VERSION_FILE);
    try {
      return Files.isRegularFile(file) && Files.size(file) <= MAX_FILE
          ? Files.readString(file, StandardCharsets.UTF_8).strip()
          : "";
    } catch (IOException e) {
      return "";
    }
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

  /**
   * A plain password, a bcrypt hash, or htpasswd lines of which one is the user's.
   *
   * @throws IllegalArgumentException with the rest of a sentence that begins with "the password"
   */
  private static Optional<Password> password(String user, String content) {
    String text = content.strip();
    if (looksHashed(text)) {
      return Optional.of(bcrypt(text));
    }
    List<String> lines = text.lines().filter(line -> !line.isBlank()).toList();
    boolean htpasswd =
        !lines.isEmpty()
            && lines.stream()
                .allMatch(
                    line ->
                        line.indexOf(':') >= 0
                            && looksHashed(line.substring(line.indexOf(':') + 1).strip()));
    if (htpasswd) {
      for (String line : lines) {
        String name = line.substring(0, line.indexOf(':')).strip();
        if (name.equals(user) || (name.isEmpty() && lines.size() == 1)) {
          return Optional.of(bcrypt(line.substring(line.indexOf(':') + 1).strip()));
        }
      }
      throw new IllegalArgumentException("file holds htpasswd lines, none of them for this user");
    }
    // Only the line end that editors add is not part of a password.
    String plain = content.endsWith("\n") ? content.substring(0, content.length() - 1) : content;
    plain = plain.endsWith("\r") ? plain.substring(0, plain.length() - 1) : plain;
    return plain.isEmpty() ? Optional.empty() : Optional.of(new Password.Plain(sha256(plain)));
  }

  private static Password bcrypt(String hash) {
    if (!isBcrypt(hash)) {
      throw new IllegalArgumentException(
          "is a hash, but not bcrypt ($2a$, $2b$, $2y$ and 60 characters): use htpasswd -nB");
    }
    return new Password.Bcrypt(hash);
  }

  /** What htpasswd(1) and crypt(5) write: taken for a plain password it would itself be one. */
  private static boolean looksHashed(String text) {
    return text.startsWith("{SHA}")
        || List.of("$2a$", "$2b$", "$2x$", "$2y$", "$apr1$", "$1$", "$5$", "$6$", "$y$").stream()
            .anyMatch(text::startsWith);
  }

  private static boolean isBcrypt(String text) {
    if (text.length() != 60
        || !(text.startsWith("$2a$") || text.startsWith("$2b$") || text.startsWith("$2y$"))
        || text.charAt(6) != '$') {
      return false;
    }
    int cost = (text.charAt(4) - '0') * 10 + text.charAt(5) - '0';
    return cost >= 4
        && cost <= 31
        && text.substring(7).chars().allMatch(c -> c == '.' || c == '/' || isAlphanumeric(c));
  }

  private static boolean isAlphanumeric(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
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
