package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;

/** A file of a layout, wherever it is stored: in a directory, or in a bucket. */
public interface StoredFile {
  /** What it is called in messages: a path, or a URL. */
  String name();

  /** Bytes. */
  long size();

  /**
   * The bytes from an offset on; to be closed by the caller.
   *
   * @throws RegistryException NotFound when it is gone; ServerError and others when it cannot be
   *     read
   */
  InputStream open(long offset);

  /**
   * The whole content.
   *
   * @throws RegistryException TooLarge when it has more bytes than allowed; MalformedResponse when
   *     it changes meanwhile
   */
  default byte[] read(long limit) {
    if (size() > limit) {
      throw new RegistryException(
          Reason.TooLarge, name(), "has " + size() + " bytes, at most " + limit);
    }
    try (InputStream in = open(0)) {
      byte[] bytes = in.readNBytes((int) size());
      if (bytes.length != size() || in.read() >= 0) {
        throw new RegistryException(Reason.MalformedResponse, name(), "changes while it is read");
      }
      return bytes;
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  /**
   * Feeds all bytes to a hash.
   *
   * @throws RegistryException ServerError when it cannot be read to its end
   */
  void hash(MessageDigest hash);

  /** What an error of the medium is called. */
  default RegistryException unreadable(IOException e) {
    return new RegistryException(
        Reason.ServerError, name(), "cannot be read: " + e.getClass().getSimpleName(), e);
  }
}
