package io.kubic.mirrors.cli;

import io.kubic.mirrors.bundle.Bucket;
import io.kubic.mirrors.bundle.BucketMedium;
import io.kubic.mirrors.bundle.Medium;
import io.kubic.mirrors.bundle.s3.S3Bucket;
import io.kubic.mirrors.bundle.s3.S3Place;
import io.kubic.mirrors.oci.registry.Trust;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * How a bucket is reached, where a command takes {@code s3://BUCKET/PREFIX} besides directories.
 */
final class S3Options implements AutoCloseable {
  @Option(
      names = "--s3-endpoint",
      paramLabel = "URL",
      description = "Where the S3 service is; default: AWS.")
  private @Nullable String endpoint;

  @Option(
      names = "--s3-region",
      paramLabel = "NAME",
      defaultValue = "us-east-1",
      description = "Region of the bucket; default: ${DEFAULT-VALUE}.")
  private String region;

  @Option(
      names = "--s3-path-style",
      description = "The bucket's name stands in the path, as most services besides AWS want it.")
  private boolean pathStyle;

  @Option(
      names = "--s3-credentials",
      paramLabel = "PATH",
      description =
          "A directory with the files accessKey and secretKey, or a file as ~/.aws/credentials;"
              + " default: the usual places of S3 clients.")
  private @Nullable Path credentials;

  @Option(
      names = "--s3-ca",
      paramLabel = "FILE",
      description = "PEM bundle trusted for the S3 service, besides the system's.")
  private @Nullable Path ca;

  private final List<Bucket> open = new ArrayList<>();

  /** Whether a text names a bucket. */
  static boolean isBucket(String place) {
    return S3Place.isUrl(place);
  }

  /** The bucket that a text names; null when it names a directory. */
  @Nullable Bucket bucket(String place) {
    if (!isBucket(place)) {
      return null;
    }
    try {
      Bucket bucket =
          S3Bucket.connect(
              S3Place.parse(place, region, endpoint, pathStyle),
              credentials,
              new Trust(ConnectionOptions.authorities(ca), null, false));
      open.add(bucket);
      return bucket;
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  /** What is to be read: directories, or what buckets hold now. */
  List<Medium> media(List<String> places) {
    List<Medium> media = new ArrayList<>();
    for (String place : places) {
      Bucket bucket = bucket(place);
      media.add(bucket == null ? Medium.directory(Path.of(place)) : BucketMedium.of(bucket));
    }
    return media;
  }

  @Override
  public void close() {
    open.forEach(Bucket::close);
  }
}
