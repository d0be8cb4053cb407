package io.kubic.mirrors.bundle.s3;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.profiles.ProfileFile;

/** Where the keys of an S3 service come from: files, or the usual places of its clients. */
final class S3Login {
  private S3Login() {}

  /**
   * @param path a directory with the files accessKey and secretKey, as a Secret is mounted, or a
   *     file as {@code ~/.aws/credentials}; null for the usual places
   * @throws IllegalArgumentException when there are no keys
   */
  static AwsCredentialsProvider of(@Nullable Path path) {
    if (path == null) {
      return DefaultCredentialsProvider.builder().build();
    }
    if (Files.isDirectory(path)) {
      return StaticCredentialsProvider.create(
          AwsBasicCredentials.create(key(path, "accessKey"), key(path, "secretKey")));
    }
    if (!Files.isReadable(path)) {
      throw new IllegalArgumentException(path + ": there is no such file that can be read");
    }
    try {
      ProfileFile file =
          ProfileFile.builder().content(path).type(ProfileFile.Type.CREDENTIALS).build();
      ProfileCredentialsProvider keys =
          ProfileCredentialsProvider.builder().profileFile(file).build();
      keys.resolveCredentials();
      return keys;
    } catch (RuntimeException e) {
      // The library's message may quote the file.
      throw new IllegalArgumentException(
          path + ": holds no [default] profile with aws_access_key_id and aws_secret_access_key");
    }
  }

  private static String key(Path directory, String name) {
    Path file = directory.resolve(name);
    try {
      String text = Files.exists(file) ? Files.readString(file).strip() : "";
      if (text.isEmpty()) {
        throw new IllegalArgumentException(
            directory + ": needs the files accessKey and secretKey, and lacks " + name);
      }
      return text;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
