package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.DriftPolicy;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.RemovalPolicy;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.VerifyMode;
import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.PullCredentials;
import io.kubic.mirrors.node.apply.HostFiles;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.apply.Journal;
import io.kubic.mirrors.node.apply.Outcome;
import io.kubic.mirrors.node.render.AuthFile;
import io.kubic.mirrors.node.render.Containerd;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Keeps one node as its configuration wants it, round by round. A round looks at the mirrors, plans
 * the files around what lies there, writes what differs, and proves the result with what lies on
 * the disk:
 *
 * <ul>
 *   <li>a mirror that does not answer is left out of the files until it does; where the source must
 *       not be contacted it stays, because leaving it out would contact the source;
 *   <li>a new configuration that forbids a source is not applied before one of its mirrors answered
 *       from this node, and none is while a mirror of it answers and does not let the node in: till
 *       then the node keeps what it has;
 *   <li>files that somebody changed are put back, or reported.
 * </ul>
 *
 * Not for several threads; {@link #state} may be read by any.
 */
public final class Agent {
  /** How often files are looked at, however seldom mirrors are: drift is found within a minute. */
  private static final Duration FILES = Duration.ofSeconds(30);

  private final String node;
  private final Path file;
  private final Path logins;
  private final Path verdict;
  private final HostRoot host;
  private final HostCommand commands;
  private final HostFiles files;
  private final String mountinfo;
  private final ProberFactory probers;
  private final ExecutorService executor;
  private final Clock clock;
  private final Consumer<String> out;

  private volatile NodeState state;
  private volatile Instant lastRound;
  private @Nullable String configText;
  private @Nullable NodeConfig config;
  private PullCredentials credentials = PullCredentials.NONE;
  private @Nullable MirrorWatch mirrors;

  /** Why the runtime did not start with what this configuration set up for it. */
  private @Nullable String unstarted;

  /** Makes a prober with the times of a configuration. */
  public interface ProberFactory {
    Prober create(NodeConfig config);
  }

  /**
   * @param node name of the node, for messages
   * @param file {@code nodeconfig.json}
   * @param logins {@link PullCredentials}, read when the configuration says that there are some
   * @param verdict what was said from outside of this node, once it had the configuration: nothing,
   *     or a time, a blank and why it is wrong
   * @param commands programs of the host, for configurations that allow it
   * @param mountinfo content of {@code /proc/self/mountinfo}
   * @param executor runs looks at several mirrors at once
   * @param out takes lines of JSON
   */
  public Agent(
      String node,
      Path file,
      Path logins,
      Path verdict,
      HostRoot host,
      HostCommand commands,
      String mountinfo,
      ProberFactory probers,
      ExecutorService executor,
      Clock clock,
      Consumer<String> out) {
    this.node = node;
    this.file = file;
    this.logins = logins;
    this.verdict = verdict;
    this.host = host;
    this.commands = commands;
    this.files = new HostFiles(host);
    this.mountinfo = mountinfo;
    this.probers = probers;
    this.executor = executor;
    this.clock = clock;
    this.out = out;
    this.lastRound = clock.instant();
    this.state =
        new NodeState(
            node,
            "",
            NodeReason.Starting,
            "the first round is under way",
            false,
            "",
            List.of(),
            List.of());
  }

  /** What is known of the node. */
  public NodeState state() {
    return state;
  }

  /** When the last round ended. */
  public Instant lastRound() {
    return lastRound;
  }

  /**
   * One round.
   *
   * @return time until the next
   */
  public Duration round() throws InterruptedException {
    NodeState next;
    Duration wait = Duration.ofSeconds(10);
    try {
      NodeConfig current = load();
      next = round(current);
      Duration look = Objects.requireNonNull(mirrors).interval();
      wait = look.compareTo(FILES) < 0 ? look : FILES;
    } catch (InvalidSpecException e) {
      next = state(NodeReason.InvalidConfig, "", String.valueOf(e.getMessage()), false);
    } catch (IOException | UncheckedIOException e) {
      next = state(NodeReason.WriteFailed, "", String.valueOf(e.getMessage()), false);
    }
    if (!next.equals(state)) {
      out.accept(next.toJson());
    }
    state = next;
    lastRound = clock.instant();
    return wait;
  }

  /** Lets go of the node; nothing is taken back. */
  public void close() throws IOException {
    files.close();
  }

  private NodeConfig load() throws IOException {
    String text = Files.readString(file, StandardCharsets.UTF_8);
    NodeConfig known = config;
    if (known == null || !text.equals(configText)) {
      known = NodeConfig.fromJson(text);
      credentials =
          known.credentials() == null
              ? PullCredentials.NONE
              : PullCredentials.parse(
                  Files.readString(logins, StandardCharsets.UTF_8), "credentials");
      configText = text;
      config = known;
      mirrors = new MirrorWatch(known, credentials, probers.create(known), executor, clock);
      unstarted = null;
    }
    return known;
  }

  private NodeState round(NodeConfig current) throws IOException, InterruptedException {
    if (current.hold()) {
      return state(NodeReason.Holding, "", "nothing is changed before its turn", true)
          .with("", List.of(), List.of());
    }
    if (!files.acquire()) {
      String owner = files.journal().config();
      if (current.remove() && !owner.isEmpty() && !owner.equals(current.name())) {
        return state(
            NodeReason.Removed,
            "",
            "the node belongs to " + owner + "; nothing to take back",
            true);
      }
      return state(
          NodeReason.Conflicted, "", "another agent works on this node; it is waited for", false);
    }
    Journal journal = files.journal();
    List<Target> detected = Detection.detect(host, current.runtimes(), mountinfo);
    boolean reload = CrioReload.isAllowed(host, current, detected);
    List<Target> targets = reload ? CrioReload.told(detected) : detected;
    String runtimes =
        targets.stream().map(Target::name).distinct().collect(Collectors.joining(","));
    if (current.remove()) {
      return remove(current, targets, journal, reload, runtimes);
    }
    Optional<String> rejected = rejected(current);
    if (rejected.isPresent()) {
      return reject(current, journal, rejected.get(), reload, runtimes);
    }
    if (targets.isEmpty()) {
      return state(
          NodeReason.RuntimeConfigRequired,
          "",
          "no container runtime was found; name it in spec.runtimes",
          false);
    }
    for (Target target : targets) {
      if (target instanceof Target.Unconfigured unread && unread.unknown()) {
        return state(NodeReason.RuntimeConfigRequired, unread.name(), unread.message(), false)
            .with(journal.hash(), state.caSha256(), List.of());
      }
    }
    MirrorWatch watch = Objects.requireNonNull(mirrors);
    boolean direct = Target.anyDirect(targets);
    watch.look(journal, direct);
    Set<Location> withdrawn = watch.withdrawn();
    boolean once = journal.hash().equals(current.hash());
    if (!once) {
      Optional<String> waiting = watch.unprovenSource();
      if (waiting.isPresent()) {
        return state(NodeReason.MirrorUnreachable, runtimes, waiting.get(), false)
            .with(journal.hash(), authorities(targets, current), names(withdrawn));
      }
      watch.prove(current.authorities(), direct);
      Optional<String> refused = watch.noEntry();
      if (refused.isPresent()) {
        return state(
                NodeReason.ProbeFailed,
                runtimes,
                refused.get() + "; the node keeps its former files",
                false)
            .with(journal.hash(), authorities(targets, current), names(withdrawn));
      }
    }
    NodeConfig effective = current.without(withdrawn);
    List<NodeFile> setup = RuntimeSetup.files(host, current, targets, journal, unstarted != null);
    Optional<SystemStore> store = current.systemStore() ? SystemStore.of(host) : Optional.empty();
    List<NodeFile> anchors = store.map(found -> found.files(current)).orElse(List.of());
    Survey.Plan plan =
        new Survey(host, files, journal, credentials)
            .plan(effective, targets)
            .with(setup)
            .with(anchors);
    if (current.systemStore() && store.isEmpty()) {
      plan =
          plan.with(
              new Survey.Finding(
                  NodeReason.UnsupportedOS,
                  runtimes,
                  "the system's trust store is none that we know (SUSE, RHEL and Fedora, Debian and"
                      + " Ubuntu, Alpine); set spec.trust.systemStore to false"));
    }

    String failure = unstarted;
    if (failure != null) {
      plan =
          plan.with(
              new Survey.Finding(
                  NodeReason.RuntimeConfigRequired,
                  "containerd",
                  failure
                      + "; it has its former configuration, and is left alone until this one"
                      + " changes"));
    }

    if (current.driftPolicy() == DriftPolicy.Report && once && journal.intended().isEmpty()) {
      List<String> drifted = drifted(journal);
      if (!drifted.isEmpty()) {
        return state(
                NodeReason.Drifted,
                runtimes,
                "changed by somebody: " + String.join(", ", drifted),
                false)
            .with(journal.hash(), authorities(targets, current), names(withdrawn));
      }
    }
    boolean due = !once || watch.isProofDue();
    Survey.Plan planned = plan;
    boolean tell = reload && (!once || CrioReload.isDue(host, journal, targets, planned.files()));
    Outcome outcome =
        files.bring(
            current,
            plan.files(),
            plan.stale(),
            plan.entries(),
            () ->
                readBack(planned.files())
                    .or(() -> setUp(journal, setup))
                    .or(() -> trusted(journal, anchors, due))
                    .or(() -> told(tell)));
    return switch (outcome) {
      case Outcome.Failed failed ->
          state(NodeReason.WriteFailed, runtimes, failed.message(), false)
              .with(journal.hash(), authorities(targets, current), names(withdrawn));
      case Outcome.RolledBack back ->
          state(NodeReason.RolledBack, runtimes, back.message() + startedAgain(failure), false)
              .with(journal.hash(), authorities(targets, current), names(withdrawn));
      case Outcome.Applied applied -> {
        if (!applied.changed().isEmpty()) {
          out.accept(Lines.applied(node, current.hash(), applied.changed()));
        }
        if (due || !applied.changed().isEmpty()) {
          watch.prove(host, targets);
        }
        yield verdict(current, targets, planned, watch, runtimes);
      }
    };
  }

  /** Why the configuration is not to stay, as far as anybody has said so. */
  private Optional<String> rejected(NodeConfig current) throws IOException {
    if (current.verify().mode() != VerifyMode.Pull || !Files.exists(verdict)) {
      return Optional.empty();
    }
    String text = Files.readString(verdict, StandardCharsets.UTF_8).strip();
    return text.isEmpty()
        ? Optional.empty()
        : Optional.of(text.substring(text.indexOf(' ') + 1).lines().findFirst().orElse(""));
  }

  /** Restarts the runtime when its own configuration is new, as far as it was allowed. */
  private Optional<String> setUp(Journal journal, List<NodeFile> setup) {
    boolean same =
        setup.stream()
            .allMatch(
                file ->
                    file.content().equals(journal.files().get(file.path()))
                        && !journal.intended().contains(file.path()));
    if (same) {
      return Optional.empty();
    }
    Optional<String> unread = tried(() -> RuntimeSetup.unread(commands));
    if (unread.isPresent()) {
      return unread;
    }
    Optional<String> problem = tried(() -> RuntimeSetup.restart(commands));
    unstarted = problem.orElse(null);
    return problem;
  }

  /** A runtime that did not start in this round is started with what it had. */
  private String startedAgain(@Nullable String before) {
    if (unstarted == null || before != null) {
      return "";
    }
    return tried(() -> RuntimeSetup.restart(commands))
        .map(problem -> "; nor as it was: " + problem)
        .orElse("; it runs as it was");
  }

  private Optional<String> told(boolean due) {
    return due ? tried(() -> CrioReload.tell(commands)) : Optional.empty();
  }

  /** Lets the host's store take up what changed, and looks whether it did. */
  private Optional<String> trusted(Journal journal, List<NodeFile> anchors, boolean look) {
    Set<String> before = new TreeSet<>(journal.files().keySet());
    before.addAll(journal.intended());
    before.removeIf(path -> !SystemStore.isAnchor(path));
    if (anchors.isEmpty() && before.isEmpty()) {
      return Optional.empty();
    }
    return tried(
        () -> {
          Optional<SystemStore> store = SystemStore.of(host);
          if (store.isEmpty()) {
            return Optional.empty();
          }
          Set<String> wanted = new TreeSet<>();
          anchors.forEach(file -> wanted.add(file.path()));
          boolean same =
              wanted.equals(before)
                  && journal.intended().stream().noneMatch(SystemStore::isAnchor)
                  && (!look || store.get().missing(host, anchors).isEmpty());
          return same
              ? Optional.empty()
              : store.get().update(host, commands, anchors, !wanted.containsAll(before));
        });
  }

  private interface Step {
    Optional<String> take() throws IOException, InterruptedException;
  }

  private static Optional<String> tried(Step step) {
    try {
      return step.take();
    } catch (IOException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.of("interrupted");
    }
  }

  private NodeState reject(
      NodeConfig current, Journal journal, String why, boolean reload, String runtimes) {
    return switch (files.reject(current.hash(), () -> told(reload))) {
      case Outcome.Applied applied -> {
        if (!applied.changed().isEmpty()) {
          out.accept(Lines.applied(node, journal.hash(), applied.changed()));
        }
        yield state(
                NodeReason.ProbeFailed,
                runtimes,
                why + "; the former files of the node are back",
                false)
            .with(applied.changed().isEmpty() ? journal.hash() : "", List.of(), List.of());
      }
      case Outcome.Failed failed ->
          state(NodeReason.WriteFailed, runtimes, failed.message(), false);
      case Outcome.RolledBack back -> state(NodeReason.RolledBack, runtimes, back.message(), false);
    };
  }

  private NodeState remove(
      NodeConfig current, List<Target> targets, Journal journal, boolean reload, String runtimes)
      throws IOException {
    if (current.removalPolicy() == RemovalPolicy.Leave) {
      return state(NodeReason.Removed, runtimes, "files are left as they are", true)
          .with(current.hash(), List.of(), List.of());
    }
    boolean tell = reload && CrioReload.isDue(host, journal, targets, List.of());
    Outcome outcome =
        files.restore(
            Survey.stale(host, files, journal, targets),
            () -> trusted(journal, List.of(), false).or(() -> told(tell)));
    return switch (outcome) {
      case Outcome.Applied applied -> {
        if (!applied.changed().isEmpty()) {
          out.accept(Lines.applied(node, current.hash(), applied.changed()));
        }
        yield state(NodeReason.Removed, runtimes, "everything is taken back", true)
            .with(current.hash(), List.of(), List.of());
      }
      case Outcome.Failed failed ->
          state(NodeReason.WriteFailed, runtimes, failed.message(), false);
      case Outcome.RolledBack back -> state(NodeReason.RolledBack, runtimes, back.message(), false);
    };
  }

  private NodeState verdict(
      NodeConfig current,
      List<Target> targets,
      Survey.Plan plan,
      MirrorWatch watch,
      String runtimes)
      throws IOException {
    NodeState applied = state(NodeReason.Applied, runtimes, hints(plan), true);
    Set<Location> withdrawn = watch.withdrawn();
    Optional<String> dark = watch.dark();
    Optional<String> refusal = watch.refusal();
    if (!plan.findings().isEmpty()) {
      Survey.Finding first = plan.findings().getFirst();
      int more = plan.findings().size() - 1;
      applied =
          state(
              first.reason(),
              first.runtime(),
              first.message() + (more == 0 ? "" : " (and " + more + " more)"),
              false);
    } else if (dark.isPresent()) {
      applied =
          state(
              NodeReason.MirrorUnreachable,
              runtimes,
              (withdrawn.isEmpty() ? "" : "withdrawn until it answers: ") + dark.get(),
              false);
    } else if (refusal.isPresent()) {
      applied = state(NodeReason.ProbeFailed, runtimes, refusal.get(), false);
    }
    return applied.with(current.hash(), authorities(targets, current), names(withdrawn));
  }

  private static String hints(Survey.Plan plan) {
    return plan.hints().isEmpty()
        ? ""
        : plan.hints().getFirst()
            + (plan.hints().size() == 1 ? "" : " (and " + (plan.hints().size() - 1) + " more)");
  }

  private Optional<String> readBack(List<NodeFile> wanted) {
    for (NodeFile one : wanted) {
      try {
        if (!host.read(one.path()).equals(Optional.of(one.content()))) {
          return Optional.of(one.path() + " does not read as it was written");
        }
      } catch (IOException e) {
        return Optional.of(one.path() + " cannot be read: " + e.getMessage());
      }
    }
    return Optional.empty();
  }

  private List<String> drifted(Journal journal) throws IOException {
    List<String> drifted = new ArrayList<>();
    for (Map.Entry<String, String> entry : journal.files().entrySet()) {
      String path = entry.getKey();
      Optional<String> now = host.read(path);
      boolean kept =
          journal.shared().containsKey(path)
              ? AuthFile.parse(now.orElse(null))
                  .map(there -> there.holds(journal.entries(path)))
                  .orElse(false)
              : now.equals(Optional.of(entry.getValue()));
      if (!kept) {
        drifted.add(path);
      }
    }
    return drifted;
  }

  /** Fingerprints of what lies on the disk for every runtime; what one lacks counts as lacking. */
  private List<String> authorities(List<Target> targets, NodeConfig current) throws IOException {
    Set<String> everywhere = null;
    for (Target target : targets) {
      for (String directory : trustDirectory(target)) {
        Set<String> here = new TreeSet<>();
        for (String registry : current.authorities().keySet()) {
          host.read(directory + "/" + registry + "/" + Containerd.CA_FILE)
              .ifPresent(
                  pem ->
                      Certificates.parse(pem).forEach(c -> here.add(Certificates.fingerprint(c))));
        }
        if (everywhere == null) {
          everywhere = here;
        } else {
          everywhere.retainAll(here);
        }
      }
    }
    return everywhere == null ? List.of() : List.copyOf(everywhere);
  }

  static List<String> trustDirectory(Target target) {
    return switch (target) {
      case Target.Registries registries -> List.of(registries.directories().getFirst());
      case Target.Library library -> List.of(library.directory() + "/certs.d");
      case Target.Unconfigured _ -> List.of();
    };
  }

  private static List<String> names(Set<Location> locations) {
    return locations.stream().map(Location::toString).toList();
  }

  private NodeState state(NodeReason reason, String runtime, String message, boolean ready) {
    return new NodeState(
        node, runtime, reason, message, ready, state.configHash(), state.caSha256(), List.of());
  }
}
