package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whatever breaks: what is called copied is there as the bytes it is, what is not there is called
 * failed, and no tag names what is not whole.
 */
class SyncFaultTest {
  private static final String AT = "r.example_5000/";
  private static final Reason[] REASONS =
      Arrays.stream(Reason.values()).filter(r -> r != Reason.Cancelled).toArray(Reason[]::new);

  /** A store that fails at random, before or after it did what it was asked for. */
  private record Faulty(MemoryStore store, Random random, double rate, boolean defects)
      implements ImageStore {
    private boolean strikes() {
      synchronized (random) {
        return random.nextDouble() < rate;
      }
    }

    private int pick(int bound) {
      synchronized (random) {
        return random.nextInt(bound);
      }
    }

    private void maybe(String what) {
      if (strikes()) {
        if (defects && pick(8) == 0) {
          throw new IllegalStateException("a defect at " + what);
        }
        throw new RegistryException(REASONS[pick(REASONS.length)], what, "struck");
      }
    }

    @Override
    public String name() {
      return store.name();
    }

    @Override
    public Optional<Descriptor> resolve(String repository, String identifier) {
      maybe("HEAD");
      return store.resolve(repository, identifier);
    }

    @Override
    public Manifest manifest(String repository, String identifier) {
      maybe("GET");
      return store.manifest(repository, identifier);
    }

    @Override
    public InputStream blob(String repository, Descriptor blob, long offset) {
      maybe("BLOB");
      InputStream whole = store.blob(repository, blob, offset);
      if (!strikes()) {
        return whole;
      }
      return switch (pick(3)) {
        case 0 -> new ByteArrayInputStream(new byte[(int) blob.size()]);
        case 1 -> new ByteArrayInputStream(new byte[0]);
        default ->
            new FilterInputStream(whole) {
              @Override
              public int read(byte[] buffer, int start, int length) throws IOException {
                throw new IOException("broke");
              }
            };
      };
    }

    @Override
    public Listing tags(String repository) {
      maybe("TAGS");
      return store.tags(repository);
    }

    @Override
    public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
      maybe("REFERRERS");
      return store.referrers(repository, subject);
    }

    @Override
    public BlobWrite putBlob(
        String repository, Descriptor blob, String mountFrom, BlobContent content) {
      maybe("PUT BLOB");
      BlobWrite write = store.putBlob(repository, blob, mountFrom, content);
      maybe("PUT BLOB, done");
      return write;
    }

    @Override
    public void putManifest(String repository, Manifest manifest, String tag) {
      maybe("PUT");
      store.putManifest(repository, manifest, tag);
      maybe("PUT, done");
    }

    @Override
    public boolean delete(String repository, String identifier) {
      maybe("DELETE");
      boolean was = store.delete(repository, identifier);
      maybe("DELETE, done");
      return was;
    }
  }

  private static MirrorListSpec spec() {
    return ResourceFile.read(
            "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec: {"
                + "prune: {mode: Delete, gracePeriod: 0s, maxDeletePercent: 100, protectInUse: false},"
                + "registryRef: {name: m}, sources: [{registry: \"r.example:5000\", images: [a]}]}}",
            "list.yaml",
            MirrorList.class)
        .getFirst()
        .getSpec();
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.0, 0.02, 0.1, 0.4})
  void failureIsNeverCalledSuccess(double rate) {
    int rounds = Integer.getInteger("mirror.rounds", 60);
    MirrorListSpec spec = spec();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int seed = 0; seed < rounds; seed++) {
        round(spec, executor, seed, rate);
      }
    }
  }

  private void round(MirrorListSpec spec, ExecutorService executor, int seed, double rate) {
    Random random = new Random(seed);
    MemoryStore source = new MemoryStore("r.example:5000");
    MemoryStore target = new MemoryStore("mirror.local");
    source.hasReferrersApi = random.nextBoolean();
    target.hasReferrersApi = random.nextBoolean();
    for (int run = 0; run < 3; run++) {
      Map<String, Digest> wanted = new TreeMap<>();
      for (int i = 0; i < 5; i++) {
        String tag = "" + random.nextInt(4);
        String repository = "r" + random.nextInt(2);
        Manifest image = source.image(repository, tag, "base", "layer " + random.nextInt(9));
        if (random.nextBoolean()) {
          image = source.index(repository, tag, Map.of("amd64", image));
        }
        if (random.nextInt(3) == 0) {
          source.attached(repository, image, "sbom " + i);
        }
        wanted.put(repository + ":" + tag, image.digest());
      }
      List<SelectedImage> selected = new ArrayList<>();
      wanted.keySet().forEach(name -> selected.add(image(name)));
      Faulty from = new Faulty(source, random, rate, true);
      Faulty to = new Faulty(target, random, rate, false);
      SyncRun sync =
          new SyncRun(
              new SyncRun.Settings("ns.a", spec, Shard.whole(), Optional.empty()),
              to,
              new Planner(spec, s -> from, to, Planner.Depth.COPIES, executor),
              new Copier(to, spec, executor),
              executor,
              Clock.fixed(Instant.parse("2026-01-01T00:00:00Z").plusSeconds(run), ZoneOffset.UTC),
              random);
      String what = "seed " + seed + ", rate " + rate + ", run " + run;
      SyncRun.Planned planned =
          sync.plan(new Selection(selected, List.of(), List.of(), true, Map.of()));
      SyncRun.Done done = sync.run(planned, o -> {}, () -> 0);
      judge(what, done.report(), wanted, target);
      if (rate == 0) {
        assertThat(done.report().isSuccessful()).as(what).isTrue();
      }
    }
  }

  private static void judge(
      String what, Report report, Map<String, Digest> wanted, MemoryStore target) {
    for (Map.Entry<String, Digest> image : wanted.entrySet()) {
      List<Outcome> outcomes =
          report.images().stream()
              .filter(o -> o.target().equals("mirror.local/" + AT + image.getKey()))
              .toList();
      assertThat(outcomes).as(what + " " + image.getKey()).hasSize(1);
      Outcome outcome = outcomes.getFirst();
      Manifest there = target.manifests.get(AT + image.getKey());
      if (outcome.result() == Outcome.Result.Failed) {
        assertThat(report.isSuccessful()).as(what).isFalse();
      } else {
        assertThat(outcome.digest()).as(what).isEqualTo(image.getValue());
        assertThat(there).as(what + " " + outcome).isNotNull();
        assertThat(there.digest()).as(what + " " + outcome).isEqualTo(image.getValue());
      }
    }
    target.manifests.forEach((name, manifest) -> whole(what + " " + name, name, manifest, target));
    target.blobs.forEach(
        (name, bytes) ->
            assertThat(Digest.of(bytes).toString())
                .as(what)
                .isEqualTo(name.substring(name.indexOf('@') + 1)));
  }

  private static void whole(String what, String name, Manifest manifest, MemoryStore target) {
    int end = name.indexOf('@') < 0 ? name.lastIndexOf(':') : name.indexOf('@');
    String repository = name.substring(0, end);
    for (Descriptor blob : manifest.blobs()) {
      assertThat(target.blobs).as(what).containsKey(repository + "@" + blob.digest());
    }
    for (Descriptor child : manifest.children()) {
      assertThat(target.manifests).as(what).containsKey(repository + "@" + child.digest());
    }
  }

  private static SelectedImage image(String name) {
    int colon = name.indexOf(':');
    return new SelectedImage(
        "default",
        new Repository("r.example:5000", name.substring(0, colon)),
        name.substring(colon + 1),
        null);
  }

  @Test
  void aSourceTagThatMovesMidRunGivesTheOldOrTheNewImageNeverAMix() {
    MirrorListSpec spec = spec();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int seed = 0; seed < 50; seed++) {
        MemoryStore source = new MemoryStore("r.example:5000");
        MemoryStore target = new MemoryStore("mirror.local");
        Manifest old = source.index("a", "1", Map.of("amd64", source.image("a", null, "old")));
        Manifest fresh = source.index("a", null, Map.of("amd64", source.image("a", null, "new")));
        int moment = seed % 10;
        source.onRequest =
            entry -> {
              if (source.log.size() == moment) {
                source.manifests.put("a:1", fresh);
              }
            };
        SyncRun sync =
            new SyncRun(
                new SyncRun.Settings("ns.a", spec, Shard.whole(), Optional.empty()),
                target,
                new Planner(spec, s -> source, target, Planner.Depth.COPIES, executor),
                new Copier(target, spec, executor),
                executor,
                Clock.systemUTC(),
                new Random(1));
        SyncRun.Planned planned =
            sync.plan(new Selection(List.of(image("a:1")), List.of(), List.of(), true, Map.of()));
        assertThat(sync.run(planned, o -> {}, () -> 0).report().isSuccessful()).isTrue();
        Manifest there = target.manifests.get(AT + "a:1");
        assertThat(there).isIn(old, fresh);
        whole("moved at " + moment, AT + "a:1", there, target);
      }
    }
  }
}
