package io.kubic.mirrors.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.layout.Checkpoint;
import io.kubic.mirrors.oci.layout.DirectoryLock;
import io.kubic.mirrors.oci.layout.Disk;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BundleTest {
  @TempDir private Path temp;
  private Story story = new Story().filled();
  private final MemoryRegistry target = new MemoryRegistry("mirror.local");

  @AfterEach
  void stop() {
    story.close();
  }

  private Path dir(String name) {
    return temp.resolve(name);
  }

  /** Asks after every image, and at the end. */
  private static final class Seen extends Story.Quiet {
    final List<Long> done = Collections.synchronizedList(new ArrayList<>());
    long total;
    int images;
    int told;
    LongSupplier settled = () -> 0;

    @Override
    public void begin(Plan plan, int of, long bytes, LongSupplier now) {
      images = of;
      total = bytes;
      settled = now;
      done.add(now.getAsLong());
    }

    @Override
    public synchronized void image(Outcome outcome) {
      told++;
      done.add(settled.getAsLong());
    }
  }

  @Test
  void whoWatchesAnExportSeesItsBytesComeAndAllOfThemAtTheEnd() {
    Seen seen = new Seen();
    story.watcher = seen;
    story.export(dir("b"));
    assertThat(seen.done.getFirst()).isZero();
    assertThat(seen.done).isSorted();
    // Manifests are small, and are not counted, as in a sync.
    assertThat(seen.settled.getAsLong()).isBetween(seen.total * 8 / 10, seen.total);
    assertThat(seen.told).isEqualTo(seen.images).isPositive();
  }

  @Test
  void whoWatchesAnImportSeesEveryByteHashedOnceSentOrNot() {
    story.export(dir("b"));
    MemoryRegistry target = new MemoryRegistry("mirror.local");
    for (int run = 0; run < 2; run++) {
      Seen seen = new Seen();
      story.watcher = seen;
      story.take(dir("b"), target);
      assertThat(seen.done.getFirst()).as("run %s", run).isZero();
      assertThat(seen.settled.getAsLong()).isBetween(seen.total * 8 / 10, seen.total);
      assertThat(seen.told).isEqualTo(seen.images).isPositive();
    }
  }

  @Test
  void everyDigestArrivesUnderItsName() {
    Bundle bundle = story.export(dir("b"));
    assertThat(bundle.images()).extracting(BundleImage::tag).contains("1.0", "latest", "2", "3");
    story.take(dir("b"), target);
    for (String tag : List.of("a:1.0", "a:latest", "team/b:2", "c:3")) {
      assertThat(target.manifests.get(Story.AT + tag)).isEqualTo(story.source.manifests.get(tag));
    }
    story.source.manifests.keySet().stream()
        .filter(key -> key.contains("@"))
        .forEach(key -> assertThat(target.manifests).containsKey(Story.AT + key));
  }

  @Test
  void theSameExportTwiceHasTheSameBytes() {
    story.export(dir("one"));
    story.export(dir("two"));
    assertThat(Story.tree(dir("one"))).isEqualTo(Story.tree(dir("two")));
    assertThat(story.export(dir("one"))).isNotNull();
    assertThat(Story.tree(dir("one"))).isEqualTo(Story.tree(dir("two")));
  }

  @Test
  void theBundleIsHardlyLargerThanWhatItCarries() {
    story.source.image("big", "1", Story.bytes(9, 3_000_000));
    story.wanted.add("big:1");
    Bundle bundle = story.export(dir("b"));
    assertThat(Story.size(dir("b"))).isLessThan((long) (bundle.counts().bytes() * 1.02));
  }

  @ParameterizedTest
  @ValueSource(strings = {"Ed25519", "EC"})
  void aSignatureOfAnotherKeyIsRefused(String algorithm) {
    story.close();
    story = new Story(algorithm).filled();
    story.export(dir("b"));
    try (Story other = new Story(algorithm)) {
      assertThatThrownBy(() -> other.take(dir("b"), target))
          .isInstanceOfSatisfying(
              RefusedException.class,
              e -> assertThat(e.reason()).isEqualTo(Reason.SignatureInvalid));
    }
    story.take(dir("b"), target);
    assertThat(target.tags()).containsKey(Story.AT + "a:1.0");
  }

  @Test
  void anUnsignedBundleIsRefusedWhenAKeyIsGiven() {
    story.signed = false;
    story.export(dir("b"));
    story.signed = true;
    assertThatThrownBy(() -> story.take(dir("b"), target)).hasMessageContaining("is not signed");
    story.signed = false;
    story.take(dir("b"), target);
  }

  @Test
  void whenNothingChangedTheDeltaIsSmallAndReadsNoBlob() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    story.source.log.clear();
    Bundle delta = story.export(dir("d"), receipt);
    assertThat(delta.counts().blobs()).isZero();
    assertThat(delta.counts().unchanged()).isGreaterThanOrEqualTo(6);
    assertThat(delta.images()).isEmpty();
    assertThat(Story.size(dir("d"))).isLessThan(8000);
    assertThat(story.source.log).noneMatch(line -> line.startsWith("BLOB"));
    Map<String, String> before = target.tags();
    story.take(dir("d"), target);
    before.remove("mirrors.kubic.io/receipts/t:latest");
    assertThat(target.tags()).containsAllEntriesOf(before);
  }

  @Test
  void aDeltaCarriesOnlyWhatTheFarSideLacks() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    byte[] fresh = Story.bytes(77, 700);
    Manifest moved = story.source.image("c", "3", Story.bytes(1, 5000), fresh);
    story.source.image("new", "1", Story.bytes(4, 20_000));
    story.wanted.add("new:1");
    Bundle delta = story.export(dir("d"), receipt);
    assertThat(delta.images())
        .extracting(BundleImage::name)
        .containsExactly(Story.HOST + "/c:3", Story.HOST + "/new:1");
    assertThat(delta.counts().bytes()).isLessThan(3000);
    assertThat(delta.expects()).hasSize(2);
    ReceiptStore.Kept second = story.take(dir("d"), target);
    assertThat(target.manifests.get(Story.AT + "c:3")).isEqualTo(moved);
    assertThat(target.tags()).containsKey(Story.AT + "new:1");
    assertThat(story.export(dir("e"), second).images()).isEmpty();
  }

  @Test
  void whatIsNewlyAttachedTravelsWithItsSubject() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    Manifest late =
        story.source.attached("team/b", story.source.manifests.get("team/b:2"), "late scan");
    Bundle delta = story.export(dir("d"), receipt);
    assertThat(delta.images()).extracting(BundleImage::digest).contains(late.digest());
    ReceiptStore.Kept second = story.take(dir("d"), target);
    assertThat(target.manifests).containsKey(Story.AT + "team/b@" + late.digest());
    assertThat(story.export(dir("e"), second).images()).isEmpty();
  }

  @Test
  void aDeltaIsRefusedByARegistryOfAnotherState() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    story.source.image("new", "1", Story.bytes(4, 20_000));
    story.wanted.add("new:1");
    story.export(dir("d"), receipt);
    MemoryRegistry empty = new MemoryRegistry("other");
    assertThatThrownBy(() -> story.take(dir("d"), empty))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.reason()).isEqualTo(Reason.BaseMismatch));
    assertThat(empty.manifests).isEmpty();
    story.take(dir("d"), target);
    MemoryRegistry behind = new MemoryRegistry("behind");
    story.wanted.remove("team/b:2");
    story.wanted.remove("new:1");
    story.now -= 100;
    story.export(dir("small"));
    story.take(dir("small"), behind);
    assertThatThrownBy(() -> story.take(dir("d"), behind))
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining("lacks " + Story.AT + "team/b@" + Digest.of(Story.bytes(4, 20_000)));
  }

  @Test
  void aBlobThatTheFarSideLostIsNamed() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    story.source.image("new", "1", Story.bytes(4, 20_000));
    story.wanted.add("new:1");
    story.export(dir("d"), receipt);
    String lost = Story.AT + "team/b@" + Digest.of(Story.bytes(4, 20_000));
    assertThat(target.blobs.remove(lost)).isNotNull();
    assertThatThrownBy(() -> story.take(dir("d"), target)).hasMessageContaining(lost);
  }

  @Test
  void anOlderBundleIsAReplay() {
    story.export(dir("old"));
    story.now += 60;
    story.source.image("c", "3", Story.bytes(6, 10));
    story.export(dir("new"));
    story.take(dir("old"), target);
    story.take(dir("new"), target);
    Map<String, String> before = target.tags();
    assertThatThrownBy(() -> story.take(dir("old"), target))
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining("--allow-replay");
    assertThat(target.tags()).isEqualTo(before);
    story.take(dir("new"), target);
    story.take(dir("old"), target, new Import.Rules(true, false, false, Set.of(), null));
    assertThat(target.tags()).isNotEqualTo(before);
  }

  @Test
  void deletionsAreListedAndCarriedOutOnlyWhenAsked() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    story.wanted.remove("c:3");
    Bundle delta = story.export(dir("d"), receipt);
    assertThat(delta.deletions())
        .extracting(Bundle.Named::name)
        .containsExactly(Story.HOST + "/c:3");
    story.take(dir("d"), target);
    assertThat(target.tags()).containsKey(Story.AT + "c:3");
    Import.Result pruned =
        story.take(dir("d"), target, new Import.Rules(false, false, true, Set.of(), null));
    assertThat(pruned.outcomes()).extracting(Outcome::result).contains(Outcome.Result.Pruned);
    assertThat(target.tags()).doesNotContainKey(Story.AT + "c:3");
    assertThat(story.export(dir("e"), pruned.receipt()).deletions()).isEmpty();
  }

  @Test
  void whatAPodRunsStaysAndIsNamed() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt = story.take(dir("b"), target);
    story.wanted.removeAll(List.of("a:1.0", "c:3"));
    story.export(dir("d"), receipt);
    // A runtime names an index by the child of its platform.
    Digest child = target.manifest(Story.AT + "a", "1.0").children().getFirst().digest();
    Import.Result pruned =
        story.take(dir("d"), target, new Import.Rules(false, false, true, Set.of(child), null));
    assertThat(pruned.inUse()).containsExactly(Story.HOST + "/a:1.0");
    assertThat(target.tags()).containsKey(Story.AT + "a:1.0").doesNotContainKey(Story.AT + "c:3");
    assertThat(story.export(dir("e"), pruned.receipt()).deletions())
        .as("the next bundle lists it again")
        .extracting(Bundle.Named::name)
        .containsExactly(Story.HOST + "/a:1.0");
  }

  @Test
  void volumesHaveAtMostTheirSizeAndALargeBlobIsSplit() throws IOException {
    story.volumeSize = 16_000;
    Bundle bundle = story.export(dir("b"));
    assertThat(bundle.volumes()).isGreaterThan(3);
    assertThat(bundle.parts()).containsKey(Digest.of(Story.bytes(4, 20_000)));
    for (int i = 1; i <= bundle.volumes(); i++) {
      assertThat(Story.size(dir("b").resolve(BundleDirectory.volumeName(i))))
          .isLessThanOrEqualTo(story.volumeSize);
    }
    assertThat(
            Verification.of(BundleDirectory.open(List.of(Medium.directory(dir("b"))), null, false)))
        .isEmpty();
    Path lost = dir("b").resolve("volume-0002");
    Files.move(lost, dir("elsewhere"));
    assertThatThrownBy(() -> story.take(dir("b"), target)).hasMessageContaining("volume-0002");
    assertThat(target.manifests).isEmpty();
    Files.move(dir("elsewhere"), lost);
    story.take(dir("b"), target);
    assertThat(target.tags()).containsKey(Story.AT + "team/b:2");
  }

  @Test
  void tooLittleSpaceIsRefusedBeforeTheFirstByte() {
    story.space = 10_000;
    assertThatThrownBy(() -> story.export(dir("b")))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.reason()).isEqualTo(Reason.TargetFull));
    assertThat(story.source.log).noneMatch(line -> line.startsWith("BLOB"));
  }

  @Test
  void anExportThatLacksAnImageIsNoBundle() {
    story.wanted.add("gone:1");
    Export.Result result = story.export(dir("b"), null, Checkpoint.NONE);
    assertThat(result.bundle()).isNull();
    assertThatThrownBy(() -> story.take(dir("b"), target))
        .hasMessageContaining("run the export again");
    story.allowPartial = true;
    Bundle partial = story.export(dir("b"));
    assertThat(partial.failures())
        .extracting(Bundle.Failure::image)
        .containsExactly(Story.HOST + "/gone:1");
    story.take(dir("b"), target);
  }

  /** One layout holds the blobs of all repositories. */
  @Test
  void whatAnUnfinishedExportHasOfOneRepositoryIsNotTakenForThatOfAnother() {
    byte[] layer = Story.bytes(7, 500);
    Manifest image = story.source.image("one", null, layer);
    story.source.image("two", null, layer);
    story.wanted.clear();
    story.wanted.addAll(List.of("one@" + image.digest(), "gone:1"));
    assertThat(story.export(dir("b"), null, Checkpoint.NONE).bundle()).isNull();
    story.wanted.remove("gone:1");
    story.wanted.add("two@" + image.digest());
    assertThat(story.export(dir("b")).images())
        .extracting(BundleImage::repository)
        .containsExactly(Story.HOST + "/one", Story.HOST + "/two");
    story.take(dir("b"), target);
    assertThat(target.manifests)
        .containsKeys(Story.AT + "one@" + image.digest(), Story.AT + "two@" + image.digest());
  }

  @Test
  void aDirectoryWithAnythingElseIsNotTouched() throws IOException {
    Files.createDirectories(dir("b"));
    Files.writeString(dir("b").resolve("mine"), "x");
    assertThatThrownBy(() -> story.export(dir("b"))).hasMessageContaining("is not empty");
    story.export(dir("c"));
    story.more = ", includeReferrers: false";
    assertThatThrownBy(() -> story.export(dir("c"))).hasMessageContaining("a new directory");
  }

  @Test
  void aChecksumThatIsNotItsBlobsNameIsRefusedThoughTheBlobIsRight() throws IOException {
    story.signed = false;
    story.export(dir("b"));
    Path sums = dir("b").resolve("SHA256SUMS");
    String text = Files.readString(sums);
    int at = text.lastIndexOf("  blobs/") - 1;
    char other = text.charAt(at) == '0' ? '1' : '0';
    Files.writeString(sums, text.substring(0, at) + other + text.substring(at + 1));
    assertThatThrownBy(() -> story.take(dir("b"), target))
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining(text.substring(at + 3, text.indexOf('\n', at)));
    assertThat(target.tags()).isEmpty();
  }

  @Test
  void onlyWhatIsWholeIsTakenOfADamagedBundleAndOnlyWhenAsked() throws IOException {
    story.export(dir("b"));
    Path blob = dir("b").resolve(BundleDirectory.nameOf(Digest.of(Story.bytes(4, 20_000))));
    byte[] bytes = Files.readAllBytes(blob);
    bytes[5] ^= 1;
    Files.write(blob, bytes);
    assertThatThrownBy(() -> story.take(dir("b"), target))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.reason()).isEqualTo(Reason.DigestMismatch));
    assertThat(target.tags()).isEmpty();
    assertThat(
            Verification.of(BundleDirectory.open(List.of(Medium.directory(dir("b"))), null, false)))
        .anyMatch(line -> line.contains(blob.getFileName().toString()));
    Import.Result some =
        story.take(dir("b"), target, new Import.Rules(false, true, false, Set.of(), null));
    assertThat(target.tags())
        .containsKey(Story.AT + "a:1.0")
        .doesNotContainKey(Story.AT + "team/b:2");
    assertThat(some.problems()).isNotEmpty();
    assertThat(Receipt.parse(some.receipt().bytes(), "r").complete()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "con",
        "aux.txt",
        "a/nul",
        "com1.yaml",
        "lpt9",
        "A",
        "a.",
        "a/.b",
        ".a",
        "a b",
        "a:b",
        "a*",
        "a?",
        "a|b",
        "a\\b",
        "\u00e4",
        "a//b",
        "/a",
        "a/",
        "-a",
        ""
      })
  void namesThatAFileSystemRefusesOrTakesForAnotherAreNoNames(String name) {
    assertThat(Checksums.isName(name)).isFalse();
  }

  @Test
  void aDirectoryIsFilledByOneExportAtATime() {
    story.export(dir("other"));
    new Disk(Checkpoint.NONE).directory(dir("b").resolve(".partial"));
    try (DirectoryLock _ = DirectoryLock.tryLock(dir("b").resolve(".partial/lock")).orElseThrow()) {
      assertThatThrownBy(() -> story.export(dir("b")))
          .isInstanceOf(RefusedException.class)
          .hasMessageContaining("is being written by another export");
    }
    story.export(dir("b"));
    assertThat(Story.tree(dir("b"))).isEqualTo(Story.tree(dir("other")));
  }

  @Test
  void filesTravelAlong() throws IOException {
    Files.writeString(dir("mirror-operator-0.1.0.tgz"), "chart");
    story.extras =
        new Extras(
            Map.of("mirror-operator-0.1.0.tgz", dir("mirror-operator-0.1.0.tgz")),
            Map.of("nodes/crio.tar", Tar.of(new TreeMap<>(Map.of("etc/a", new byte[] {1})))),
            List.of(Reference.parse(Story.HOST + "/a:1.0")));
    story.export(dir("b"));
    assertThat(dir("b").resolve("extras/mirror-operator-0.1.0.tgz")).hasContent("chart");
    assertThat(dir("b").resolve("extras/nodes/crio.tar")).hasSize(2048);
    List<String> load = Files.readAllLines(dir("b").resolve("extras/load/files"));
    Digest index = story.source.manifests.get("a:1.0").digest();
    // The index, two manifests with a config each, one layer that both have and one for each.
    assertThat(load)
        .hasSize(1 + 1 + 2 + 2 + 3)
        .contains("oci-layout", "blobs/sha256/" + index.hex());
    assertThat(dir("b").resolve("extras/load/index.json"))
        .content()
        .contains(Story.HOST + "/a:1.0")
        .doesNotContain("team/b");
    story.take(dir("b"), target);
  }

  @Test
  void theReceiptInTheRegistryIsTheOneThatWasGiven() {
    story.export(dir("b"));
    ReceiptStore.Kept receipt =
        story
            .take(dir("b"), target, new Import.Rules(false, false, false, Set.of(), story.key))
            .receipt();
    ReceiptStore.Kept kept = new ReceiptStore(target).find("t").orElseThrow();
    assertThat(kept.bytes()).isEqualTo(receipt.bytes());
    assertThat(
            Receipt.parse(
                    kept.bytes(),
                    "receipt",
                    story.verifyingKey,
                    kept.signature().getBytes(java.nio.charset.StandardCharsets.US_ASCII))
                .series())
        .isEqualTo("t");
  }
}
