package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.Digest;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LedgerTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

  private static Digest blob(int number) {
    return Digest.of(String.valueOf(number).getBytes(UTF_8));
  }

  private static Ledger.Tagged tagged(String repository) {
    return new Ledger.Tagged(repository, "1", blob(0), "s/" + repository + ":1", 7, false);
  }

  private static Ledger read(Ledger ledger, Shard shard) {
    return Ledger.parse(ledger.toJson(shard, NOW)).ledger();
  }

  @Test
  void aHomeGoesWithTheLastEntryOfItsRepository() {
    Ledger ledger =
        Ledger.empty("ns.a")
            .intend(List.of(tagged("ours")), NOW)
            .conclude(
                List.of(tagged("ours")),
                List.of(tagged("found")),
                Set.of("ours:1", "found:1"),
                true,
                NOW)
            .housing(Map.of(blob(1), "ours", blob(2), "found", blob(3), "named.by/digest"));
    Ledger later = ledger.conclude(List.of(), List.of(), Set.of("ours:1"), true, NOW);
    assertThat(later.homes())
        .containsOnly(Map.entry(blob(1), "ours"), Map.entry(blob(3), "named.by/digest"));
    assertThat(later.without(Set.of("ours:1")).homes()).containsOnlyKeys(blob(3));
  }

  @Test
  void aHomeThatIsNotSelectedButStillThereStays() {
    Ledger ledger =
        Ledger.empty("ns.a")
            .conclude(List.of(tagged("a")), List.of(), Set.of("a:1"), true, NOW)
            .housing(Map.of(blob(1), "a"));
    assertThat(ledger.conclude(List.of(), List.of(), Set.of(), true, NOW).homes())
        .containsOnlyKeys(blob(1));
  }

  @Test
  void whatIsFoundOutWinsOverWhatWasKnown() {
    Ledger ledger = Ledger.empty("ns.a").housing(Map.of(blob(1), "old"));
    assertThat(ledger.housing(Map.of(blob(1), "new")).homes()).containsEntry(blob(1), "new");
  }

  @Test
  void ofTooManyHomesTheOldestAreForgottenNotTheNewest() {
    Map<Digest, String> many = new LinkedHashMap<>();
    for (int i = 0; i < 10_000; i++) {
      many.put(blob(i), "a");
    }
    Ledger ledger = read(Ledger.empty("ns.a").housing(many), Shard.whole());
    assertThat(ledger.homes()).hasSize(10_000);
    ledger = ledger.housing(Map.of(blob(0), "a")).housing(Map.of(blob(10_000), "b"));
    assertThat(read(ledger, Shard.whole()).homes())
        .hasSize(10_000)
        .containsEntry(blob(10_000), "b")
        .as("found out once more")
        .containsKey(blob(0))
        .doesNotContainKey(blob(1));
  }

  @Test
  void aPartWritesTheHomesOfItsOwnRepositories() {
    Map<Digest, String> homes = Map.of(blob(1), "a", blob(2), "b", blob(3), "c", blob(4), "d");
    Ledger ledger = Ledger.empty("ns.a").housing(homes);
    Ledger first = read(ledger, new Shard(0, 2));
    Ledger second = read(ledger, new Shard(1, 2));
    assertThat(first.homes()).isNotEmpty().hasSizeLessThan(4);
    assertThat(second.homes()).hasSize(4 - first.homes().size());
    assertThat(
            Ledger.merged(
                    "ns.a",
                    List.of(
                        new Ledger.Stored(first, new Shard(0, 2), NOW),
                        new Ledger.Stored(second, new Shard(1, 2), NOW)))
                .homes())
        .isEqualTo(homes);
  }

  @Test
  void whatALaterLedgerForgotIsNotRememberedByAnEarlierOneOfOtherParts() {
    Ledger old = Ledger.empty("ns.a").housing(Map.of(blob(1), "a", blob(2), "b"));
    Ledger now = Ledger.empty("ns.a").housing(Map.of(blob(2), "b"));
    assertThat(
            Ledger.merged(
                    "ns.a",
                    List.of(
                        new Ledger.Stored(now, Shard.whole(), NOW.plusSeconds(1)),
                        new Ledger.Stored(old, new Shard(0, 2), NOW)))
                .homes())
        .containsOnlyKeys(blob(2));
  }

  /** Older versions read and write it so, in any order. */
  @Test
  void homesAreAnObjectOfDigestsAndRepositories() {
    Ledger ledger = Ledger.empty("ns.a").housing(Map.of(blob(1), "a/b"));
    String json = new String(ledger.toJson(Shard.whole(), NOW), UTF_8);
    assertThat(json).endsWith("\"homes\":{\"" + blob(1) + "\":\"a/b\"}}");
    assertThat(Ledger.parse(json.getBytes(UTF_8)).ledger()).isEqualTo(ledger);
  }
}
