package io.kubic.mirrors.node.apply;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.VerifyMode;
import io.kubic.mirrors.node.HostMount;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.render.AuthFile;
import io.kubic.mirrors.node.render.Containerd;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Our files on a host, changed in steps each of which leaves a host that works:
 *
 * <ol>
 *   <li>the journal says what is about to change;
 *   <li>new files are written beside their places under names no runtime reads, and synced;
 *   <li>they are renamed, what is trusted first and what uses it last; what goes away goes in the
 *       opposite order;
 *   <li>the proof runs; when it fails, the former files come back in the same way;
 *   <li>the journal says what is there.
 * </ol>
 *
 * A process that dies anywhere in between leaves a journal from which the next one goes on: it
 * knows every path that may be ours, and brings the host to what is wanted then. Not for several
 * threads.
 */
public final class HostFiles implements Closeable {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(com.fasterxml.jackson.databind.SerializationFeature.INDENT_OUTPUT)
          .build();

  /** Never the end of a name that containerd or the containers library loads. */
  private static final String TEMPORARY = ".mirror-operator-tmp";

  private static final String ASIDE = ".mirror-operator-original";

  private static final String JOURNAL = HostMount.STATE + "/journal.json";
  private static final String LOCK = HostMount.STATE + "/lock";
  private static final String KEPT = HostMount.STATE + "/kept";

  private final HostRoot host;
  private @Nullable FileChannel lock;

  public HostFiles(HostRoot host) {
    this.host = host;
  }

  /**
   * Takes the host for this process, until it is closed or ends. Two agents meet on a node for a
   * moment while one follows the other, and for longer when two configurations select it.
   *
   * @return whether it is ours now
   */
  public boolean acquire() throws IOException {
    if (lock != null) {
      return true;
    }
    makeDirectories(HostMount.STATE);
    FileChannel channel =
        FileChannel.open(
            host.path(LOCK),
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            LinkOption.NOFOLLOW_LINKS);
    try {
      FileLock taken = channel.tryLock();
      if (taken != null) {
        lock = channel;
        return true;
      }
    } catch (OverlappingFileLockException e) {
      // this very process, in a test
    }
    channel.close();
    return false;
  }

  @Override
  public void close() throws IOException {
    if (lock != null) {
      lock.close();
      lock = null;
    }
  }

  /** What was done to this host; a journal that cannot be understood is as none, and kept aside. */
  public Journal journal() throws IOException {
    Optional<String> text = host.read(JOURNAL);
    if (text.isEmpty()) {
      return Journal.EMPTY;
    }
    try {
      return JSON.readValue(text.get(), Journal.class);
    } catch (JsonProcessingException e) {
      keep(JOURNAL, text.get());
      return Journal.EMPTY;
    }
  }

  /**
   * Whether a file may be changed: the journal names it, or its first line says that it is ours.
   *
   * @return false for a foreign file; true when there is none
   */
  public boolean isOurs(Journal journal, String path) throws IOException {
    if (!host.exists(path) || journal.names(path)) {
      return true;
    }
    return host.read(path).map(NodeFile::isOurs).orElse(true);
  }

  /**
   * Makes the host have exactly these files of ours, and no others.
   *
   * @param wanted none of them at the place of a foreign file
   * @param stale paths that may hold files of ours besides those of the journal
   * @param entries of files that others write too, path to what of it is ours
   * @param proof a problem, or nothing; called when the files are in place
   */
  public Outcome bring(
      NodeConfig config,
      List<NodeFile> wanted,
      Collection<String> stale,
      SortedMap<String, SortedMap<String, String>> entries,
      Supplier<Optional<String>> proof) {
    try {
      Journal before = journal();
      Journal.Former former =
          config.verify().mode() != VerifyMode.Pull
              ? null
              : config.hash().equals(before.hash())
                  ? before.former()
                  : new Journal.Former(before.hash(), before.files(), before.shared());
      return bring(before, config.name(), config.hash(), former, wanted, stale, entries, proof);
    } catch (UncheckedIOException e) {
      return new Outcome.Failed(message(Objects.requireNonNull(e.getCause())));
    } catch (IOException e) {
      return new Outcome.Failed(message(e));
    }
  }

  /**
   * Brings back what was there before the configuration of {@code hash}, which a pull has shown to
   * be wrong. Nothing happens when that one is not there (any more).
   *
   * @param last what is left to do when they are in place; a problem, or nothing
   */
  public Outcome reject(String hash, Supplier<Optional<String>> last) {
    try {
      Journal before = journal();
      Journal.Former former = before.former();
      if (former == null || !hash.equals(before.hash())) {
        return new Outcome.Applied(List.of());
      }
      List<NodeFile> wanted = new ArrayList<>();
      for (Map.Entry<String, String> file : former.files().entrySet()) {
        String path = file.getKey();
        String content = file.getValue();
        SortedMap<String, String> ours = former.shared().get(path);
        if (ours != null) {
          String text = host.read(path).orElse(null);
          content =
              AuthFile.parse(text)
                  .map(now -> now.with(ours, before.entries(path)).text())
                  .orElse(text);
          if (content == null) {
            continue;
          }
        }
        wanted.add(new NodeFile(path, kind(path), content, isSecret(path, content)));
      }
      return bring(
          before, before.config(), former.hash(), null, wanted, List.of(), former.shared(), last);
    } catch (UncheckedIOException e) {
      return new Outcome.Failed(message(Objects.requireNonNull(e.getCause())));
    } catch (IOException e) {
      return new Outcome.Failed(message(e));
    }
  }

  /** Of a file of an earlier run it is not known: hosts.toml and logins may hold passwords. */
  private static boolean isSecret(String path, String content) {
    return path.endsWith(".json") || content.contains("Authorization");
  }

  private Outcome bring(
      Journal before,
      String config,
      String hash,
      Journal.@Nullable Former former,
      List<NodeFile> wanted,
      Collection<String> stale,
      SortedMap<String, SortedMap<String, String>> entries,
      Supplier<Optional<String>> proof)
      throws IOException {
    SortedSet<String> none = new TreeSet<>();
    SortedMap<String, NodeFile> targets = new TreeMap<>();
    for (NodeFile file : wanted) {
      if (file.kind() != NodeFile.Kind.AUTH && !isOurs(before, file.path())) {
        return new Outcome.Failed(file.path() + " is not ours");
      }
      targets.put(file.path(), file);
    }
    SortedSet<String> known = new TreeSet<>(stale);
    known.addAll(before.files().keySet());
    known.addAll(before.intended());
    known.addAll(targets.keySet());

    Set<String> shared = new TreeSet<>(before.shared().keySet());
    shared.addAll(entries.keySet());
    SortedMap<String, Optional<String>> found = new TreeMap<>();
    for (String path : known) {
      found.put(path, shared.contains(path) ? host.read(path) : current(before, path));
    }
    List<NodeFile> writes =
        targets.values().stream()
            .filter(
                file ->
                    !Optional.of(file.content()).equals(found.get(file.path()))
                        || file.secret() && isOpen(file.path()))
            .sorted()
            .toList();
    List<String> removals =
        found.entrySet().stream()
            .filter(
                e ->
                    (e.getValue().isPresent() || before.shared().containsKey(e.getKey()))
                        && !targets.containsKey(e.getKey()))
            .map(Map.Entry::getKey)
            .toList();
    SortedMap<String, String> after = new TreeMap<>();
    targets.values().forEach(file -> after.put(file.path(), file.content()));

    if (writes.isEmpty() && removals.isEmpty()) {
      sweep(known);
      Optional<String> problem = proof.get();
      if (problem.isPresent()) {
        return new Outcome.Failed(problem.get());
      }
      List<String> left = prune(before.directories(), known, targets.keySet());
      commit(before, new Journal(config, hash, after, none, left, entries, former));
      return new Outcome.Applied(List.of());
    }

    SortedSet<String> touched = new TreeSet<>(removals);
    writes.forEach(file -> touched.add(file.path()));
    List<String> directories = new ArrayList<>(before.directories());
    for (NodeFile file : writes) {
      missing(parent(file.path())).stream()
          .filter(directory -> !directories.contains(directory))
          .forEach(directories::add);
    }
    SortedSet<String> intended = new TreeSet<>(before.intended());
    intended.addAll(touched);
    SortedMap<String, SortedMap<String, String>> both = new TreeMap<>(before.shared());
    entries.forEach(
        (path, ours) -> {
          SortedMap<String, String> all = new TreeMap<>(before.entries(path));
          all.putAll(ours);
          both.put(path, all);
        });
    Journal during =
        new Journal(
            before.config(),
            before.hash(),
            before.files(),
            intended,
            directories,
            both,
            before.former());
    write(during);
    for (String path : touched) {
      Optional<String> content = found.getOrDefault(path, Optional.empty());
      String written = before.files().get(path);
      if (content.isPresent()
          && !shared.contains(path)
          && written != null
          && !content.get().equals(written)
          && !before.intended().contains(path)) {
        keep(path, content.get());
      }
    }
    try {
      for (NodeFile file : writes) {
        if (file.kind() == NodeFile.Kind.AUTH && !before.shared().containsKey(file.path())) {
          setAside(file.path());
        }
      }
      change(writes, removals, during);
      Optional<String> problem = proof.get();
      if (problem.isPresent()) {
        back(before, during, found, touched);
        return new Outcome.RolledBack(problem.get());
      }
    } catch (IOException | UncheckedIOException e) {
      back(before, during, found, touched);
      throw e;
    }
    List<String> left = prune(directories, known, targets.keySet());
    commit(before, new Journal(config, hash, after, none, left, entries, former));
    return new Outcome.Applied(List.copyOf(touched));
  }

  /**
   * Removes directories of registries that we made and that hold nothing any more: an empty one
   * would keep containerd from turning to {@code _default}
   * (core/remotes/docker/config/config_unix.go, hostPaths).
   *
   * @param known paths that may have been ours
   * @param wanted paths that are ours from now on
   * @return directories of ours that stay, those included that could not be removed now
   */
  private List<String> prune(List<String> directories, Collection<String> known, Set<String> wanted)
      throws IOException {
    Set<String> used = new TreeSet<>();
    wanted.forEach(path -> used.add(parent(path)));
    Set<String> gone = new TreeSet<>();
    for (String path : known) {
      String directory = parent(path);
      if ((path.endsWith("/" + Containerd.HOSTS_FILE) || path.endsWith("/" + Containerd.CA_FILE))
          && directories.contains(directory)
          && !used.contains(directory)
          && gone.add(directory)) {
        try {
          Files.deleteIfExists(host.path(directory));
          sync(host.path(parent(directory)));
        } catch (FileSystemException e) {
          gone.remove(directory); // somebody else put something there, or it cannot be done now
        }
      }
    }
    return directories.stream().filter(directory -> !gone.contains(directory)).toList();
  }

  /**
   * Takes everything back: our files go away, then the directories that we made and that are empty,
   * then the journal.
   *
   * @param stale as in {@link #bring}
   * @param last what is left to do when the files are gone; a problem, or nothing
   */
  public Outcome restore(Collection<String> stale, Supplier<Optional<String>> last) {
    try {
      Journal journal = journal();
      SortedSet<String> known = new TreeSet<>(stale);
      known.addAll(journal.files().keySet());
      known.addAll(journal.intended());
      List<String> removals = new ArrayList<>();
      for (String path : known) {
        if (journal.shared().containsKey(path)) {
          removals.add(path);
          continue;
        }
        Optional<String> content = current(journal, path);
        if (content.isPresent()) {
          removals.add(path);
          String written = journal.files().get(path);
          if (!journal.intended().contains(path)
              && written != null
              && !content.get().equals(written)) {
            keep(path, content.get());
          }
        }
      }
      change(List.of(), removals, journal);
      sweep(known);
      Optional<String> problem = last.get();
      if (problem.isPresent()) {
        return new Outcome.Failed(problem.get());
      }
      for (String directory : journal.directories().reversed()) {
        try {
          Files.deleteIfExists(host.path(directory));
        } catch (DirectoryNotEmptyException e) {
          continue; // somebody else put something there
        } catch (FileSystemException e) {
          if (host.list(directory).isEmpty()) {
            throw e;
          }
        }
      }
      Files.deleteIfExists(temporary(JOURNAL));
      Files.deleteIfExists(host.path(JOURNAL));
      return new Outcome.Applied(removals);
    } catch (UncheckedIOException e) {
      return new Outcome.Failed(message(Objects.requireNonNull(e.getCause())));
    } catch (IOException e) {
      return new Outcome.Failed(message(e));
    }
  }

  /** Content of a file that is ours; empty when there is none or when it is foreign. */
  private Optional<String> current(Journal journal, String path) throws IOException {
    return isOurs(journal, path) ? host.read(path) : Optional.empty();
  }

  /**
   * The first original of a file that others write too: a second name for the same file, so that
   * its mode, its owner and its labels come back with it.
   */
  private void setAside(String path) throws IOException {
    Path aside = host.path(aside(path));
    if (host.exists(path) && !Files.exists(aside, LinkOption.NOFOLLOW_LINKS)) {
      Files.createLink(aside, host.path(path));
      sync(host.path(parent(path)));
    }
  }

  private static String aside(String path) {
    return parent(path) + "/." + path.substring(path.lastIndexOf('/') + 1) + ASIDE;
  }

  /**
   * Takes our entries out of a file that others write too: its original comes back when nothing
   * else was written meanwhile.
   */
  private void giveBack(String path, Map<String, String> entries) throws IOException {
    Path place = host.path(path);
    Path aside = host.path(aside(path));
    boolean kept = Files.exists(aside, LinkOption.NOFOLLOW_LINKS);
    Optional<String> text = host.read(path);
    Optional<AuthFile> now = text.isEmpty() ? Optional.empty() : AuthFile.parse(text.get());
    if (kept && text.isPresent() && Files.isSameFile(aside, place)) {
      Files.delete(aside);
    } else if (now.isPresent()) {
      AuthFile rest = now.get().without(entries);
      Optional<AuthFile> original =
          kept ? AuthFile.parse(host.read(aside(path)).orElse("")) : Optional.empty();
      if (original.isPresent() && rest.says(original.get())) {
        Files.move(aside, place, StandardCopyOption.ATOMIC_MOVE);
      } else {
        if (!kept && rest.isEmpty()) {
          Files.delete(place);
        } else if (!rest.says(now.get())) {
          stage(path, rest.text(), NodeFile.SECRET_MODE);
          Files.move(temporary(path), place, StandardCopyOption.ATOMIC_MOVE);
        }
        Files.deleteIfExists(aside);
      }
    } else {
      Files.deleteIfExists(aside); // gone, or no longer what anybody reads: not ours to mend
    }
  }

  /** Whether others than root may read a file. */
  private boolean isOpen(String path) {
    try {
      return Files.getPosixFilePermissions(host.path(path), LinkOption.NOFOLLOW_LINKS).stream()
          .anyMatch(permission -> !permission.name().startsWith("OWNER_"));
    } catch (NoSuchFileException e) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void change(List<NodeFile> writes, List<String> removals, Journal journal)
      throws IOException {
    List<Path> staged = new ArrayList<>();
    SortedSet<String> directories = new TreeSet<>();
    try {
      for (NodeFile file : writes) {
        makeDirectories(parent(file.path()));
        staged.add(stage(file.path(), file.content(), file.mode()));
      }
      for (NodeFile file : writes) {
        Files.move(temporary(file.path()), host.path(file.path()), StandardCopyOption.ATOMIC_MOVE);
        directories.add(parent(file.path()));
      }
    } catch (IOException e) {
      for (Path temporary : staged) {
        try {
          Files.deleteIfExists(temporary);
        } catch (IOException left) {
          e.addSuppressed(left); // the next run sweeps it
        }
      }
      throw e;
    }
    for (String path : order(removals)) {
      if (journal.shared().containsKey(path)) {
        giveBack(path, journal.entries(path));
      } else {
        Files.deleteIfExists(host.path(path));
      }
      directories.add(parent(path));
    }
    for (String directory : directories) {
      sync(host.path(directory));
    }
  }

  /** What makes a runtime use something goes before what it uses. */
  private static List<String> order(List<String> removals) {
    return removals.stream()
        .sorted(
            java.util.Comparator.comparingInt(
                    (String path) -> path.endsWith(".conf") ? 0 : path.endsWith(".toml") ? 1 : 2)
                .thenComparing(java.util.Comparator.naturalOrder()))
        .toList();
  }

  /** Best effort; what cannot be put back now stays in the journal as intended. */
  private void back(
      Journal before,
      Journal during,
      Map<String, Optional<String>> found,
      SortedSet<String> touched)
      throws IOException {
    List<NodeFile> writes = new ArrayList<>();
    List<String> removals = new ArrayList<>();
    for (String path : touched) {
      Optional<String> content = found.get(path);
      if (during.shared().containsKey(path) && !before.shared().containsKey(path)) {
        removals.add(path);
      } else if (content != null && content.isPresent()) {
        if (!host.read(path).equals(content)) {
          writes.add(new NodeFile(path, kind(path), content.get(), isSecret(path, content.get())));
        }
      } else if (host.exists(path)) {
        removals.add(path);
      }
    }
    change(writes.stream().sorted().toList(), removals, during);
    prune(during.directories(), removals, before.files().keySet());
  }

  private static NodeFile.Kind kind(String path) {
    return path.endsWith(".json")
        ? NodeFile.Kind.AUTH
        : path.endsWith(".conf")
            ? NodeFile.Kind.DROP_IN
            : path.endsWith(".toml") ? NodeFile.Kind.HOSTS : NodeFile.Kind.TRUST;
  }

  private void commit(Journal before, Journal after) throws IOException {
    if (!after.equals(before)) {
      write(after);
    }
  }

  private void write(Journal journal) throws IOException {
    makeDirectories(HostMount.STATE);
    replace(JOURNAL, JSON.writeValueAsString(journal));
    sync(host.path(HostMount.STATE));
  }

  private void keep(String path, String content) throws IOException {
    makeDirectories(KEPT);
    String copy =
        KEPT
            + "/"
            + NodeConfig.sha256((path + "\n" + content).getBytes(StandardCharsets.UTF_8))
                .substring(0, 16)
            + path.replace('/', '_');
    if (!host.exists(copy)) {
      replace(copy, content);
    }
  }

  /** A file of our state: the old one or the new one, and nothing beside it. */
  private void replace(String path, String content) throws IOException {
    Path staged = stage(path, content, NodeFile.SECRET_MODE);
    try {
      Files.move(staged, host.path(path), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      try {
        Files.deleteIfExists(staged);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
  }

  private Path stage(String path, String content, String mode) throws IOException {
    Path temporary = temporary(path);
    Files.deleteIfExists(temporary);
    boolean done = false;
    try (FileChannel channel =
        FileChannel.open(
            temporary,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
      Files.setPosixFilePermissions(temporary, PosixFilePermissions.fromString(mode));
      ByteBuffer bytes = StandardCharsets.UTF_8.encode(content);
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
      done = true;
    } finally {
      if (!done) {
        Files.deleteIfExists(temporary);
      }
    }
    return temporary;
  }

  private Path temporary(String path) {
    return host.path(parent(path) + "/." + path.substring(path.lastIndexOf('/') + 1) + TEMPORARY);
  }

  /** Left by a process that died. */
  private void sweep(Collection<String> paths) throws IOException {
    for (String path : paths) {
      Files.deleteIfExists(temporary(path));
    }
  }

  private static String parent(String path) {
    return path.substring(0, path.lastIndexOf('/'));
  }

  /** Directories from the root down that are not there yet. */
  private List<String> missing(String directory) {
    List<String> missing = new ArrayList<>();
    for (String at = directory; !at.isEmpty() && !host.exists(at); at = parent(at)) {
      missing.addFirst(at);
    }
    return missing;
  }

  /** No component may be a link: somebody could lead us elsewhere. */
  private void makeDirectories(String directory) throws IOException {
    int slash = 0;
    while (slash >= 0) {
      slash = directory.indexOf('/', slash + 1);
      String part = slash < 0 ? directory : directory.substring(0, slash);
      Path path = host.path(part);
      if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
        continue;
      }
      try {
        Files.createDirectory(
            path,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
      } catch (FileAlreadyExistsException e) {
        throw new IOException(part + " is a link or no directory; it is not followed");
      }
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
      Path parent = path.getParent();
      if (parent != null) {
        sync(parent);
      }
    }
  }

  private static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (NoSuchFileException e) {
      // removed meanwhile; nothing to keep
    }
  }

  private String message(IOException e) {
    String text = String.valueOf(e.getMessage());
    if (e instanceof FileSystemException known) {
      String reason = known.getReason();
      text = known.getFile() + ": " + (reason == null ? e.getClass().getSimpleName() : reason);
    }
    return text.replace(host.root() + "/", "/");
  }
}
