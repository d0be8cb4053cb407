package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.InputStream;
import java.util.List;

/**
 * The objects of a bucket whose keys begin with one prefix, as far as a bundle needs them. An
 * object appears whole or not at all, as in every service that speaks S3. All methods throw a
 * {@link RegistryException}: Unauthorized, Forbidden, NotFound, ConnectionFailed, NameResolution,
 * TLSVerification, Timeout, ServerError or TargetRejected. Safe for threads.
 */
public interface Bucket extends AutoCloseable {
  /** The URL without credentials, as in {@code s3://bucket/prefix}. */
  String name();

  /**
   * One object.
   *
   * @param name its key without the prefix
   * @param size bytes
   * @param version changes with the content: its ETag
   */
  record Item(String name, long size, String version) {}

  /** All objects, in no order. */
  List<Item> list();

  /**
   * The bytes of an object from an offset on; to be closed by the caller.
   *
   * @throws RegistryException also MalformedResponse when it is no longer that version
   */
  InputStream open(Item item, long offset);

  /** Writes a small object, over what may be there. */
  void put(String name, byte[] bytes);

  /**
   * Writes a large object, which appears only after its digest was found right.
   *
   * @throws RegistryException also {@link Reason#DigestMismatch}, and what the content throws
   */
  void put(String name, Descriptor blob, BlobContent content);

  /** Removes an object if it is there. */
  void remove(String name);

  /** Removes what uploads left that were cut off: it costs, and no listing shows it. */
  void dropUnfinished();

  @Override
  void close();
}
