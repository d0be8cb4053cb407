package io.kubic.mirrors.sync;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Instant;
import java.util.List;

/** The last report of a list, or of a part of it, in the registry that it fills. */
final class Reports {
  static final String REPOSITORY = "mirror-operator/reports";

  private static final String TYPE = "application/vnd.kubic.mirrors.report.v1+json";
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final ImageStore target;
  private final String list;
  private final Shard shard;

  Reports(ImageStore target, String list, Shard shard) {
    this.target = target;
    this.list = list;
    this.shard = shard;
  }

  /** What is stored of a run; its JSON form is a contract. */
  private record Stored(
      int version,
      String list,
      String shard,
      String time,
      String hash,
      boolean complete,
      Termination.Summary summary,
      List<Outcome> images) {}

  /**
   * Leaves a report.
   *
   * @param hash of the plan
   * @return what names it, by digest
   * @throws RegistryException when it cannot be written
   */
  String save(Report report, String hash, Instant now) {
    Stored root =
        new Stored(
            1,
            list,
            shard.toString(),
            now.toString(),
            hash,
            report.complete(),
            report.summary(),
            report.images());
    try {
      Manifest manifest =
          Artifacts.write(
              target, REPOSITORY, Ledgers.tag(list, shard), TYPE, JSON.writeValueAsBytes(root));
      return target.name() + "/" + REPOSITORY + "@" + manifest.digest();
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
