package io.kubic.mirrors.bundle.s3;

import io.kubic.mirrors.bundle.Bucket;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.registry.Trust;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;
import javax.net.ssl.TrustManager;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.MultipartUpload;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * A bucket by the AWS SDK, which also speaks to MinIO, Ceph and others. Everything that is sent
 * carries a Content-MD5, which every service checks before it keeps the bytes; that the bytes are
 * the right ones is checked here, before the last of them is sent.
 */
public final class S3Bucket implements Bucket {
  /** Bytes that are sent at once. At least 5 MiB (AmazonS3, "multipart upload limits"). */
  static final int PART = 8 << 20;

  private static final int MAX_PARTS = 10_000;

  /** Parts in memory at once: 64 MiB, whatever the number of transfers. */
  private static final int BUFFERS = 8;

  private static final Duration CONNECT = Duration.ofSeconds(15);
  private static final Duration STALL = Duration.ofSeconds(60);

  private final S3Place place;
  private final S3Client client;
  private final S3Failures failures;
  private final Semaphore buffers = new Semaphore(BUFFERS, true);

  private S3Bucket(S3Place place, S3Client client) {
    this.place = place;
    this.client = client;
    this.failures = new S3Failures(place);
  }

  /**
   * Connects; nothing is asked yet.
   *
   * @param credentials as in {@link S3Login#of}
   * @param trust the certificates of the service
   * @throws IllegalArgumentException when there are no keys
   */
  public static S3Bucket connect(S3Place place, @Nullable Path credentials, Trust trust) {
    S3ClientBuilder builder =
        S3Client.builder()
            .httpClientBuilder(
                UrlConnectionHttpClient.builder()
                    .connectionTimeout(CONNECT)
                    .socketTimeout(STALL)
                    .tlsTrustManagersProvider(() -> new TrustManager[] {trust.trustManager()}))
            .credentialsProvider(S3Login.of(credentials))
            .region(Region.of(place.region()))
            .forcePathStyle(place.pathStyle())
            // Trailing checksums and chunked signatures are not understood by every service.
            .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
            .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
            .serviceConfiguration(S3Configuration.builder().chunkedEncodingEnabled(false).build());
    if (place.endpoint() != null) {
      builder.endpointOverride(place.endpoint());
    }
    return new S3Bucket(place, builder.build());
  }

  @Override
  public String name() {
    return place.url();
  }

  private String key(String name) {
    return place.keys() + name;
  }

  private String object(String name) {
    return name() + "/" + name;
  }

  private <T> T asking(String object, Supplier<T> question) {
    try {
      return question.get();
    } catch (SdkException e) {
      if (Thread.currentThread().isInterrupted()) {
        throw new RegistryException(Reason.Cancelled, object, "the run was stopped", e);
      }
      throw failures.of(e, object);
    }
  }

  @Override
  public List<Item> list() {
    return asking(
        name(),
        () -> {
          List<Item> items = new ArrayList<>();
          for (S3Object found :
              client
                  .listObjectsV2Paginator(r -> r.bucket(place.bucket()).prefix(place.keys()))
                  .contents()) {
            items.add(
                new Item(found.key().substring(place.keys().length()), found.size(), found.eTag()));
          }
          return items;
        });
  }

  @Override
  public InputStream open(Item item, long offset) {
    if (offset >= item.size()) {
      return InputStream.nullInputStream();
    }
    return asking(
        object(item.name()),
        () ->
            client.getObject(
                r -> {
                  r.bucket(place.bucket()).key(key(item.name()));
                  if (offset > 0) {
                    r.range("bytes=" + offset + "-");
                  }
                  if (!item.version().isEmpty()) {
                    r.ifMatch(item.version());
                  }
                },
                ResponseTransformer.toInputStream()));
  }

  @Override
  public void put(String name, byte[] bytes) {
    put(name, bytes, bytes.length);
  }

  private void put(String name, byte[] bytes, int length) {
    var _ =
        asking(
            object(name),
            () ->
                client.putObject(
                    r ->
                        r.bucket(place.bucket())
                            .key(key(name))
                            .contentLength((long) length)
                            .contentMD5(md5(bytes, length)),
                    body(bytes, length)));
  }

  /** Not {@code RequestBody.fromBytes}, which copies them. */
  private static RequestBody body(byte[] bytes, int length) {
    return RequestBody.fromContentProvider(
        () -> new ByteArrayInputStream(bytes, 0, length), length, "application/octet-stream");
  }

  private static String md5(byte[] bytes, int length) {
    try {
      MessageDigest hash = MessageDigest.getInstance("MD5");
      hash.update(bytes, 0, length);
      return Base64.getEncoder().encodeToString(hash.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has MD5", e);
    }
  }

  @Override
  public void put(String name, Descriptor blob, BlobContent content) {
    BlobVerifier verifier = new BlobVerifier(blob, blob.digest().toString());
    try (InputStream in = content.open(0)) {
      if (blob.size() <= PART) {
        buffered(
            () -> {
              byte[] bytes = new byte[(int) blob.size()];
              put(name, bytes, next(in, bytes, 0, blob, verifier, content));
            });
      } else {
        parts(name, blob, in, verifier, content);
      }
    } catch (IOException e) {
      throw cut(blob, e);
    }
  }

  /** Work of which each needs a buffer. */
  private interface Step {
    void run() throws IOException;
  }

  private void buffered(Step step) throws IOException {
    try {
      buffers.acquire();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(Reason.Cancelled, name(), "the run was stopped", e);
    }
    try {
      step.run();
    } finally {
      buffers.release();
    }
  }

  private void parts(
      String name, Descriptor blob, InputStream in, BlobVerifier verifier, BlobContent content)
      throws IOException {
    int size = Math.toIntExact(Math.max(PART, Math.ceilDiv(blob.size(), MAX_PARTS)));
    String upload =
        asking(
            object(name),
            () ->
                client
                    .createMultipartUpload(r -> r.bucket(place.bucket()).key(key(name)))
                    .uploadId());
    List<CompletedPart> parts = new ArrayList<>();
    boolean done = false;
    try {
      for (long at = 0; at < blob.size(); at += size) {
        long from = at;
        int number = parts.size() + 1;
        buffered(
            () -> {
              byte[] bytes = new byte[(int) Math.min(size, blob.size() - from)];
              int length = next(in, bytes, from, blob, verifier, content);
              parts.add(part(name, upload, number, bytes, length));
            });
      }
      var _ =
          asking(
              object(name),
              () ->
                  client.completeMultipartUpload(
                      r ->
                          r.bucket(place.bucket())
                              .key(key(name))
                              .uploadId(upload)
                              .multipartUpload(m -> m.parts(parts))));
      done = true;
    } finally {
      if (!done) {
        abort(key(name), upload);
      }
    }
  }

  private CompletedPart part(String name, String upload, int number, byte[] bytes, int length) {
    String tag =
        asking(
            object(name),
            () ->
                client
                    .uploadPart(
                        r ->
                            r.bucket(place.bucket())
                                .key(key(name))
                                .uploadId(upload)
                                .partNumber(number)
                                .contentLength((long) length)
                                .contentMD5(md5(bytes, length)),
                        body(bytes, length))
                    .eTag());
    return CompletedPart.builder().partNumber(number).eTag(tag).build();
  }

  /** Fills a buffer; the last one of a blob only if the whole blob is right. */
  private static int next(
      InputStream in,
      byte[] bytes,
      long at,
      Descriptor blob,
      BlobVerifier verifier,
      BlobContent content)
      throws IOException {
    int length = in.readNBytes(bytes, 0, bytes.length);
    content.passed(length);
    verifier.update(at, bytes, 0, length);
    boolean last = at + bytes.length == blob.size();
    if (length < bytes.length) {
      throw cut(blob, new java.io.EOFException());
    }
    if (last && in.read() >= 0) {
      throw new RegistryException(
          Reason.DigestMismatch,
          blob.digest().toString(),
          "is longer than the " + blob.size() + " bytes promised");
    }
    return length;
  }

  private static RegistryException cut(Descriptor blob, IOException e) {
    return new RegistryException(
        Reason.ConnectionFailed,
        blob.digest().toString(),
        "the connection broke within its " + blob.size() + " bytes",
        e);
  }

  private void abort(String key, String upload) {
    try {
      var _ = client.abortMultipartUpload(r -> r.bucket(place.bucket()).key(key).uploadId(upload));
    } catch (SdkException e) {
      // The next run does it, and the failure that led here is the one to tell.
    }
  }

  @Override
  public void remove(String name) {
    var _ =
        asking(
            object(name), () -> client.deleteObject(r -> r.bucket(place.bucket()).key(key(name))));
  }

  @Override
  public void dropUnfinished() {
    try {
      for (MultipartUpload upload :
          client
              .listMultipartUploadsPaginator(r -> r.bucket(place.bucket()).prefix(place.keys()))
              .uploads()) {
        abort(upload.key(), upload.uploadId());
      }
    } catch (SdkException e) {
      // Keys that may not list them: the bucket's own rules have to remove them.
    }
  }

  @Override
  public void close() {
    client.close();
  }
}
