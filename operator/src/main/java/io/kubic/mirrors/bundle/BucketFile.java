package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.StoredFile;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;

/** An object of a bucket, in the version that was listed. */
record BucketFile(Bucket bucket, Bucket.Item item) implements StoredFile {
  private static final int ATTEMPTS = 5;

  @Override
  public String name() {
    return bucket.name() + "/" + item.name();
  }

  @Override
  public long size() {
    return item.size();
  }

  @Override
  public InputStream open(long offset) {
    return bucket.open(item, offset);
  }

  /** Goes on where a connection broke. */
  @Override
  public void hash(MessageDigest hash) {
    byte[] buffer = new byte[1 << 17];
    long at = 0;
    int failures = 0;
    while (at < size()) {
      try (InputStream in = open(at)) {
        int read;
        while (at < size() && (read = in.read(buffer)) >= 0) {
          hash.update(buffer, 0, read);
          at += read;
        }
        if (at < size()) {
          throw new java.io.EOFException();
        }
      } catch (IOException e) {
        if (++failures == ATTEMPTS) {
          throw unreadable(e);
        }
      }
    }
  }

  @Override
  public RegistryException unreadable(IOException e) {
    return new RegistryException(
        Reason.ConnectionFailed, name(), "the connection broke while it was read", e);
  }
}
