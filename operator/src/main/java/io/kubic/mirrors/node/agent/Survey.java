package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Source;
import io.kubic.mirrors.node.PullCredentials;
import io.kubic.mirrors.node.apply.HostFiles;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.apply.Journal;
import io.kubic.mirrors.node.render.AuthFile;
import io.kubic.mirrors.node.render.Containerd;
import io.kubic.mirrors.node.render.Containers;
import io.kubic.mirrors.node.render.HostCertificates;
import io.kubic.mirrors.node.render.NodeFile;
import io.kubic.mirrors.node.render.Note;
import io.kubic.mirrors.node.render.Rendering;
import io.kubic.mirrors.node.rules.HostsToml;
import io.kubic.mirrors.node.rules.InvalidFileException;
import io.kubic.mirrors.node.rules.RegistriesConf;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Looks at what lies on a host, and plans our files around it: nothing at the place of a foreign
 * file, nothing that would take effect away from one, nothing beside a configuration that is broken
 * already.
 */
final class Survey {
  private final HostRoot host;
  private final HostFiles files;
  private final Journal journal;
  private final PullCredentials credentials;
  private final Map<String, Finding> findings = new LinkedHashMap<>();
  private final SortedMap<String, SortedMap<String, String>> entries = new TreeMap<>();

  /** Something that keeps the node from being as configured, by what it is about. */
  record Finding(NodeReason reason, String runtime, String message) {}

  /**
   * What to write.
   *
   * @param stale paths that hold files of ours
   * @param entries ours in files that others write too
   */
  record Plan(
      List<NodeFile> files,
      List<String> stale,
      SortedMap<String, SortedMap<String, String>> entries,
      List<Finding> findings,
      List<String> hints) {
    /** With more files. */
    Plan with(List<NodeFile> more) {
      return new Plan(
          Stream.concat(files.stream(), more.stream()).sorted().toList(),
          stale,
          entries,
          findings,
          hints);
    }

    /** With one more finding. */
    Plan with(Finding more) {
      return new Plan(
          files, stale, entries, Stream.concat(findings.stream(), Stream.of(more)).toList(), hints);
    }
  }

  Survey(HostRoot host, HostFiles files, Journal journal, PullCredentials credentials) {
    this.host = host;
    this.files = files;
    this.journal = journal;
    this.credentials = credentials;
  }

  /** Plans the files of all targets. */
  Plan plan(NodeConfig config, List<Target> targets) throws IOException {
    Rendering all = new Rendering(List.of(), List.of());
    List<String> stale = new ArrayList<>();
    for (Target target : targets) {
      switch (target) {
        case Target.Unconfigured missing ->
            find(NodeReason.RuntimeConfigRequired, target, missing.message());
        case Target.Registries registries -> {
          stale.addAll(ours(registries.directories().getFirst()));
          all = all.and(registries(config, registries));
        }
        case Target.Library library -> {
          stale.addAll(ours(library.directory() + "/certs.d"));
          stale.add(library.directory() + "/registries.conf.d/" + Containers.DROP_IN);
          all = all.and(library(config, library)).and(logins(library));
        }
      }
    }
    List<String> hints = new ArrayList<>();
    for (Note note : all.notes()) {
      if (note.forbidden()) {
        findings.putIfAbsent(
            "note " + note.source(),
            new Finding(NodeReason.NotExpressible, "containerd", note.message()));
      } else {
        hints.add(note.message());
      }
    }
    return new Plan(all.files(), stale, entries, List.copyOf(findings.values()), hints);
  }

  /** Files of ours below the targets, for a host whose journal was lost. */
  static List<String> stale(HostRoot host, HostFiles files, Journal journal, List<Target> targets)
      throws IOException {
    Survey survey = new Survey(host, files, journal, PullCredentials.NONE);
    List<String> stale = new ArrayList<>();
    for (Target target : targets) {
      switch (target) {
        case Target.Registries registries ->
            stale.addAll(survey.ours(registries.directories().getFirst()));
        case Target.Library library -> {
          stale.addAll(survey.ours(library.directory() + "/certs.d"));
          stale.add(library.directory() + "/registries.conf.d/" + Containers.DROP_IN);
        }
        case Target.Unconfigured _ -> {}
      }
    }
    Optional<SystemStore> store = SystemStore.of(host);
    for (String path : store.isPresent() ? store.get().ours(host) : List.<String>of()) {
      if (files.isOurs(journal, path)) {
        stale.add(path);
      }
    }
    return stale;
  }

  private List<String> ours(String directory) throws IOException {
    List<String> found = new ArrayList<>();
    for (String registry : host.list(directory)) {
      for (String name : List.of(Containerd.HOSTS_FILE, Containerd.CA_FILE)) {
        String path = directory + "/" + registry + "/" + name;
        if (host.exists(path) && files.isOurs(journal, path)) {
          found.add(path);
        }
      }
    }
    return found;
  }

  private Rendering registries(NodeConfig config, Target.Registries target) throws IOException {
    String directory = target.directories().getFirst();
    List<Source> usable = new ArrayList<>();
    Map<String, HostCertificates> certificates = new TreeMap<>();
    for (Source source : config.sources()) {
      if (!source.isRegistry() || free(target, source.source())) {
        usable.add(source);
        if (source.isRegistry()) {
          certificates.put(source.source(), certificates(directory + "/" + source.source()));
        }
      }
    }
    List<String> blocked = new ArrayList<>();
    for (String registry : config.blocked()) {
      if (!io.kubic.mirrors.node.Location.isRegistry(registry) || free(target, registry)) {
        blocked.add(registry);
      }
    }
    Rendering rendering =
        Containerd.render(config.with(usable, blocked), directory, certificates, credentials);
    for (NodeFile file : rendering.files()) {
      if (file.kind() == NodeFile.Kind.HOSTS) {
        judge(() -> HostsToml.parse(file.content(), file.path()));
      }
    }
    return trustConflicts(rendering, target);
  }

  /** Whether no file of somebody else says what to do with a registry, in any directory or form. */
  private boolean free(Target.Registries target, String registry) throws IOException {
    int colon = registry.lastIndexOf(':');
    String encoded =
        colon > 0
            ? registry.substring(0, colon) + "_" + registry.substring(colon + 1) + "_"
            : registry;
    for (String directory : target.directories()) {
      boolean first = directory.equals(target.directories().getFirst());
      for (String form :
          encoded.equals(registry) ? List.of(registry) : List.of(encoded, registry)) {
        String path = directory + "/" + form;
        String hosts = path + "/" + Containerd.HOSTS_FILE;
        boolean place = first && form.equals(registry);
        if (host.exists(hosts) && !(place && files.isOurs(journal, hosts))) {
          find(
              NodeReason.ForeignConflict,
              target,
              hosts + " is not ours; remove it, or take " + registry + " out of the configuration");
          return false;
        }
        if (!place && host.isDirectory(path) && !host.list(path).isEmpty()) {
          find(
              NodeReason.ForeignConflict,
              target,
              path
                  + " holds files of somebody else that ours would hide; move them to "
                  + target.directories().getFirst()
                  + "/"
                  + registry);
          return false;
        }
      }
    }
    return true;
  }

  private HostCertificates certificates(String directory) throws IOException {
    List<String> names = host.list(directory);
    List<String> authorities =
        names.stream()
            .filter(name -> name.endsWith(".crt") && !name.equals(Containerd.CA_FILE))
            .toList();
    List<List<String>> clients =
        names.stream()
            .filter(name -> name.endsWith(".cert"))
            .map(
                name -> {
                  String key = name.substring(0, name.length() - 5) + ".key";
                  return names.contains(key) ? List.of(name, key) : List.of(name);
                })
            .toList();
    return new HostCertificates(authorities, clients);
  }

  private Rendering library(NodeConfig config, Target.Library target) throws IOException {
    String dropIns = target.directory() + "/registries.conf.d";
    String own = dropIns + "/" + Containers.DROP_IN;
    List<String> paths = new ArrayList<>(List.of(target.directory() + "/registries.conf"));
    for (String name : host.list(dropIns)) {
      if (name.endsWith(".conf") && !(dropIns + "/" + name).equals(own)) {
        paths.add(dropIns + "/" + name);
      }
    }
    if (host.exists(own) && !files.isOurs(journal, own)) {
      find(NodeReason.ForeignConflict, target, own + " is not ours; rename it");
      return new Rendering(List.of(), List.of());
    }
    RegistriesConf foreign = RegistriesConf.EMPTY;
    RegistriesConf later = RegistriesConf.EMPTY;
    try {
      for (String path : paths) {
        RegistriesConf file = RegistriesConf.parse(host.read(path).orElse(""), path);
        foreign = foreign.and(file);
        later = path.compareTo(own) > 0 && path.startsWith(dropIns) ? later.and(file) : later;
      }
    } catch (InvalidFileException e) {
      find(
          NodeReason.PreexistingInvalid,
          target,
          e.getMessage() + " (it was so before; nothing is written until it is mended)");
      return new Rendering(kept(target.directory()), List.of());
    }
    List<Source> usable = new ArrayList<>();
    for (Source source : config.sources()) {
      if (absent(foreign, source.source(), target)) {
        usable.add(source);
      }
    }
    List<String> blocked = new ArrayList<>();
    for (String prefix : config.blocked()) {
      if (absent(foreign, prefix, target)) {
        blocked.add(prefix);
      }
    }
    for (RegistriesConf.Table table : foreign.tables().values()) {
      for (Source source : usable) {
        if (table.prefix().startsWith(source.source() + "/")) {
          find(
              NodeReason.Shadowed,
              target,
              table.file()
                  + " has a table for "
                  + table.prefix()
                  + ", which hides the mirrors of "
                  + source.source()
                  + " there");
        }
      }
    }
    if (later.search() != null && !config.unqualifiedSearchRegistries().isEmpty()
        || later.mode() != null && config.shortNameMode() != null) {
      find(NodeReason.Shadowed, target, "a later drop-in sets how short names are looked up");
    }
    Rendering rendering = Containers.render(config.with(usable, blocked), target.directory());
    for (NodeFile file : rendering.files()) {
      if (file.kind() == NodeFile.Kind.DROP_IN) {
        judge(() -> RegistriesConf.parse(file.content(), file.path()));
      }
    }
    return trustConflicts(rendering, target);
  }

  /** The logins of CRI-O and podman, beside those of others. */
  private Rendering logins(Target.Library target) throws IOException {
    Rendering none = new Rendering(List.of(), List.of());
    if (credentials.isEmpty()) {
      return none;
    }
    String path = AuthFile.PATH;
    if (target.authFile().filter(file -> !file.equals(path)).isPresent()) {
      find(
          NodeReason.RuntimeConfigRequired,
          target,
          "CRI-O looks for credentials in "
              + target.authFile().get()
              + "; write [crio.image] global_auth_file = \""
              + path
              + "\" to /etc/crio/crio.conf.d/50-mirror-operator.conf and restart crio once");
      return none;
    }
    if (Files.isSymbolicLink(host.path(path))) {
      find(NodeReason.ForeignConflict, target, path + " is a link; make it a file");
      return none;
    }
    String text = host.read(path).orElse(null);
    Optional<AuthFile> there = AuthFile.parse(text);
    if (there.isEmpty()) {
      find(
          NodeReason.PreexistingInvalid,
          target,
          path + " is no JSON object with 'auths' (it was so before; it is left as it is)");
      return none;
    }
    SortedMap<String, String> written = journal.entries(path);
    SortedMap<String, String> ours = new TreeMap<>(credentials.auths());
    for (String key : there.get().foreign(ours, written)) {
      ours.remove(key);
      find(
          NodeReason.ForeignConflict,
          target,
          path + " has a login for " + key + " that is not ours; podman logout " + key);
    }
    entries.put(path, ours);
    AuthFile merged = there.get().with(ours, written);
    return new Rendering(
        List.of(
            new NodeFile(
                path,
                NodeFile.Kind.AUTH,
                text != null && merged.says(there.get()) ? text : merged.text(),
                true)),
        List.of());
  }

  /** What we wrote there lately: a runtime may still work with it. */
  private List<NodeFile> kept(String directory) {
    return journal.files().entrySet().stream()
        .filter(file -> file.getKey().startsWith(directory + "/"))
        .map(
            file ->
                new NodeFile(
                    file.getKey(),
                    file.getKey().endsWith(".conf") ? NodeFile.Kind.DROP_IN : NodeFile.Kind.TRUST,
                    file.getValue()))
        .toList();
  }

  private boolean absent(RegistriesConf foreign, String prefix, Target target) {
    RegistriesConf.Table table = foreign.tables().get(prefix);
    if (table == null) {
      return true;
    }
    find(
        NodeReason.ForeignConflict,
        target,
        table.file() + " has a table for " + prefix + "; remove it there, or here");
    return false;
  }

  /** A CA file of ours where somebody else has one of that name. */
  private Rendering trustConflicts(Rendering rendering, Target target) throws IOException {
    List<NodeFile> kept = new ArrayList<>();
    for (NodeFile file : rendering.files()) {
      if (files.isOurs(journal, file.path())) {
        kept.add(file);
      } else {
        find(NodeReason.ForeignConflict, target, file.path() + " is not ours; remove it");
      }
    }
    return new Rendering(kept, rendering.notes());
  }

  private void find(NodeReason reason, Target target, String message) {
    findings.putIfAbsent(target.name() + message, new Finding(reason, target.name(), message));
  }

  private interface Parse {
    Object parse() throws InvalidFileException;
  }

  /** What we render is read by another parser before it is written; a refusal is a defect. */
  private static void judge(Parse parse) {
    try {
      var _ = parse.parse();
    } catch (InvalidFileException e) {
      throw new IllegalStateException("rendered what no runtime reads: " + e.getMessage(), e);
    }
  }
}
